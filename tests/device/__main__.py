"""Sur une machine qui a un GPU : chaque noyau est vérifié, puis les principaux sont chronométrés.

    python -m tests.device                  vérifie, chronomètre, compare à PyTorch s’il est là
    python -m tests.device --pack DOSSIER   prépare ici, sans GPU, les noyaux à emporter
    python -m tests.device --dry            une répétition sur le faux pilote : rien n’est juste

Un noyau est juste s’il est proche de NumPy en float64, sa sortie ayant d’abord été empoisonnée de
NaN : un élément oublié se voit. Les durées sont des médianes, mesurées par le GPU lui-même. Le
tableau est aussi écrit en JSON dans le dossier OUT, s’il est donné.
"""

import argparse
import functools
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

import engine
import engine.tensor as T
from engine.backends.cuda.arrays import DeviceArray, upload
from engine.backends.cuda.cubins import build
from engine.backends.cuda.machines import Simulator, machine
from engine.backends.cuda.products import by_tiles, product_tier
from engine.settings import config
from tests.device import products, requests
from tests.device.requests import call_on_device, cases, using

TOLERANCE = {"float32": 3e-5, "float64": 1e-9}


def main():
    options = argparse.ArgumentParser(prog="python -m tests.device")
    options.add_argument("--pack", metavar="DOSSIER", help="prépare les noyaux dans ce dossier")
    options.add_argument("--architecture", default="sm_90a")
    options.add_argument("--dry", action="store_true", help="petites tailles, aucun verdict")
    chosen = options.parse_args()
    if chosen.pack:
        return prepare(chosen.pack, chosen.architecture)
    if isinstance(machine(), Simulator):
        print("pas de GPU : rien à vérifier ici")
        return 1
    return examine(chosen.dry)


def prepare(folder, architecture):
    """Compile tous les noyaux dans `folder`, et en dit le compte."""
    config.cache_dir = folder
    wanted = [*requests.record(), *programs_requests(), *products.requests()]
    start = time.perf_counter()
    failures = build(list(dict.fromkeys(wanted)), architecture)
    for request, message in failures:
        print(f"échec : {request.name}\n{message}")
    manifest = [
        {"noyau": f"cuda_{r.name}_{r.key(architecture)}.noyau", "signature": r.signature}
        for r in dict.fromkeys(wanted)
    ]
    Path(folder, "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    total = sum(path.stat().st_size for path in Path(folder).glob("*.noyau"))
    spent = time.perf_counter() - start
    print(f"{len(manifest)} noyaux pour {architecture}, {total / 1e6:.1f} Mo, {spent:.0f} s")
    return len(failures)


def programs_requests():
    """Les noyaux des programmes chronométrés, d’après leurs petites formes."""
    with using(requests.Recorder()) as recorder:
        for row in timed(dry=True):
            row["run"]()
    return recorder.requests


# -- juste --------------------------------------------------------------------------------------


def poisoned(device):
    """Toute zone que rend `device` est d’abord remplie de NaN."""
    take = device.pool.take

    def poisoned_take(nbytes):
        zone = take(nbytes)
        device.fill(zone, 0x7FC00000)
        return zone

    device.pool.take = poisoned_take
    return take


def check(op, values, kind):
    """L’écart relatif avec NumPy en float64 ; None si l’op se calcule sur l’hôte."""
    results, node = call_on_device(op, values)
    if results is None:
        return None
    wide = [v.astype("float64") if v.dtype.kind == "f" else v for v in values]
    exact = op.make_node(*[T.TensorType(v.dtype, (False,) * v.ndim)() for v in wide])
    storage = [[None] for _ in exact.outputs]
    with np.errstate(all="ignore"):
        op.perform(exact, [v.copy() for v in wide], storage)
        worst = 0.0
        for result, (reference,) in zip(results, storage, strict=True):
            found = result.to_host()
            if found.shape != reference.shape or found.dtype != node.outputs[0].dtype:
                return float("inf")
            limit = np.finfo(kind).max if found.dtype.kind == "f" else np.inf
            expected = np.asarray(reference, "float64")
            expected = np.where(np.abs(expected) > limit, np.sign(expected) * np.inf, expected)
            worst = max(worst, gap(found.astype("float64"), expected))
    return worst


def gap(found, expected):
    """Le plus grand écart, relatif au-delà de 1 ; infini si NaN et infinis ne tombent pas
    ensemble.
    """
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    if not np.array_equal(np.isfinite(found), np.isfinite(expected)):
        return float("inf")
    with np.errstate(all="ignore"):
        away = np.abs(found - expected) / np.maximum(np.abs(expected), 1)
    return float(np.max(np.where(same, 0, away), initial=0.0))


def verify():
    """Vérifie chaque cas ; renvoie (justes, sur l’hôte, [échecs])."""
    right, on_host, wrong = 0, 0, []
    for op, values, kind in cases():
        try:
            error = check(op, values, kind)
        except Exception as problem:
            wrong.append((f"{op} {kind}", f"{type(problem).__name__} : {problem}"[:400]))
            continue
        if error is None:
            on_host += 1
        elif error <= TOLERANCE[kind]:
            right += 1
        else:
            wrong.append((f"{op} {kind} {[v.shape for v in values]}", f"écart {error:.1e}"))
    return right, on_host, wrong


# -- vite ---------------------------------------------------------------------------------------


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def compiled(inputs, outputs, updates=()):
    """La fonction compilée pour le GPU : ses entrées viennent de l’hôte, ses résultats y vont."""
    with config.change_flags(device="cuda"):
        return engine.function(inputs, outputs, updates=updates)


def on_device(build_outputs, *arrays):
    """L’appel répété d’une op sur des tableaux déjà sur le GPU."""
    op, values = build_outputs, [upload(a) if isinstance(a, np.ndarray) else a for a in arrays]
    node = op.make_node(*[T.TensorType(v.dtype, (False,) * v.ndim)() for v in values])
    call = requests.registry._FACTORIES[type(node.op)][0](node)
    return lambda: call(*values)


def timed(dry):
    """Les programmes chronométrés : nom, appel, opérations, octets, rival."""
    for size in (8,) if dry else (1024, 4096):
        out, a, b = (upload(floats(size, size, seed=seed)) for seed in range(3))
        yield {
            "name": f"produit {size}, par tuiles",
            "run": functools.partial(by_tiles("float32"), out, a, b),
            "operations": 2 * size**3,
        }
    dot = T.dot(T.fmatrix(), T.fmatrix()).owner.op
    for size in (8,) if dry else (512, 1024, 4096):
        a, b = floats(size, size), floats(size, size, seed=1)
        yield {
            "name": f"produit {size}",
            "run": on_device(dot, a, b),
            "operations": 2 * size**3,
            "rival": ("matmul", a, b),
            "expected": (a.astype("float64") @ b) if size <= 1024 else None,
        }
    n = 64 if dry else 1 << 24
    p, g = floats(n), floats(n, seed=1)
    add = (T.fvector() + T.fvector()).owner.op
    yield {
        "name": f"somme de deux vecteurs de {4 * n / 1e6:.0f} Mo",
        "run": on_device(add, p, g),
        "bytes": 12 * n,
        "rival": ("add", p, g),
        "expected": p.astype("float64") + g,
    }
    tanh = T.tanh(T.fvector()).owner.op
    yield {
        "name": "tanh, même taille",
        "run": on_device(tanh, p),
        "bytes": 8 * n,
        "rival": ("tanh", p),
        "expected": np.tanh(p.astype("float64")),
    }
    rows = 8 if dry else 4096
    m = floats(rows, rows)
    yield {
        "name": f"somme des lignes, {rows} × {rows}",
        "run": on_device(requests.Reduce(requests.REDUCTIONS["sum"], (1,)), m),
        "bytes": 4 * rows * rows,
        "rival": ("sum1", m),
        "expected": m.astype("float64").sum(1),
    }
    yield logistic_step(8 if dry else 500)


def logistic_step(batch):
    """Un pas de la régression logistique de la leçon 6 : 784 pixels, 10 classes."""
    x, t = T.fmatrix("x"), T.fmatrix("t")
    w = engine.shared(np.zeros((784, 10), "float32"), name="w")
    b = engine.shared(np.zeros(10, "float32"), name="b")
    p = T.nnet.softmax(T.dot(x, w) + b)
    cost = -T.mean(T.sum(t * T.log(p), axis=1))
    gw, gb = T.grad(cost, [w, b])
    rate = np.float32(0.1)
    with config.change_flags(device="cuda"):
        w.set_value(w.get_value()), b.set_value(b.get_value())
        step = engine.function([x, t], cost, updates=[(w, w - rate * gw), (b, b - rate * gb)])
    xs = floats(batch, 784)
    ts = np.eye(10, dtype="float32")[np.random.default_rng(0).integers(0, 10, batch)]
    return {
        "name": f"pas de régression logistique, lot de {batch}",
        "run": lambda: step(xs, ts),
        "rival": ("logistic", xs, ts),
        "wall": True,
    }


def rivals():
    """Les mêmes programmes par PyTorch, ou rien s’il n’est pas là."""
    try:
        import torch  # noqa: PLC0415 - une bibliothèque facultative, en ce seul endroit
    except ImportError:
        return None, {}

    def put(a):
        return torch.from_numpy(a).cuda()

    def binary(function):
        def make(*arrays):
            tensors = [put(a) for a in arrays]
            return lambda: function(*tensors)

        return make

    def logistic(xs, ts):
        w = torch.zeros(784, 10, device="cuda", requires_grad=True)
        b = torch.zeros(10, device="cuda", requires_grad=True)

        def step():
            x, t = put(xs), put(ts)
            cost = -(t * torch.log_softmax(x @ w + b, 1)).sum(1).mean()
            gw, gb = torch.autograd.grad(cost, [w, b])
            with torch.no_grad():
                w.sub_(0.1 * gw)
                b.sub_(0.1 * gb)
            return cost.item()

        return step

    return torch, {
        "matmul": binary(torch.matmul),
        "add": binary(torch.add),
        "tanh": binary(torch.tanh),
        "sum1": binary(lambda m: m.sum(1)),
        "logistic": logistic,
    }


def wall(run, wait, repeats):
    """La durée médiane d’un appel, vue de l’hôte, en microsecondes."""
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        wait()
        spent.append(time.perf_counter() - start)
    return 1e6 * float(np.median(spent[len(spent) // 4 :]))


def torch_events(torch, run, repeats):
    """La durée médiane sur le GPU d’un appel de PyTorch, en microsecondes."""
    spent = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        spent.append(1000 * start.elapsed_time(end))
    return float(np.median(spent[len(spent) // 4 :]))


def measure(dry):
    device, (torch, programs) = machine(), rivals()
    repeats = 3 if dry else 40
    for row in timed(dry):
        result = {"programme": row["name"]}
        got = row["run"]()
        if isinstance(got, DeviceArray) and row.get("expected") is not None:
            error = gap(got.to_host().astype("float64"), row["expected"])
            result["écart"] = error
        if row.get("wall"):
            spent = wall(row["run"], device.synchronize, repeats)
        else:
            spent = device.microseconds(row["run"], repeats)
        result["µs"] = round(spent, 2)
        if "operations" in row:
            result["Top/s"] = round(row["operations"] / spent / 1e6, 2)
        if "bytes" in row:
            result["Go/s"] = round(row["bytes"] / spent / 1e3, 1)
        if torch is not None and not dry and "rival" in row:
            kind, *arrays = row["rival"]
            rival = programs[kind](*arrays)
            for tf32 in (False, True) if kind == "matmul" else (False,):
                torch.backends.cuda.matmul.allow_tf32 = tf32
                if row.get("wall"):
                    other = wall(rival, torch.cuda.synchronize, repeats)
                else:
                    other = torch_events(torch, rival, repeats)
                result["PyTorch TF32 µs" if tf32 else "PyTorch µs"] = round(other, 2)
        print(result, flush=True)
        yield result


def host_cost():
    """Ce que coûte à l’hôte un appel d’une op minuscule, en microsecondes."""
    add = on_device((T.fvector() + T.fvector()).owner.op, floats(4), floats(4))
    for _ in range(200):
        add()
    start = time.perf_counter()
    for _ in range(2000):
        add()
    spent = time.perf_counter() - start
    machine().synchronize()
    return round(spent / 2000 * 1e6, 2)


def examine(dry):
    device, start = machine(), time.perf_counter()
    print(f"{device.name}, {device.architecture}, Python {sys.version.split()[0]}", flush=True)
    take = poisoned(device)
    right, on_host, wrong = verify()
    print(f"{right} cas justes, {on_host} calculés sur l’hôte, {len(wrong)} faux")
    tried, missed = products.verify(gap, TOLERANCE)
    wrong += missed
    device.pool.take = take
    print(f"{tried} produits essayés, {len(missed)} faux ; {product_tier()}")
    for case, why in wrong:
        print(f"  {case} : {why}")
    rows = list(measure(dry))
    cost = host_cost()
    print(f"un appel d’une op minuscule coûte {cost} µs à l’hôte")
    print(f"en tout : {time.perf_counter() - start:.0f} s")
    report = {"gpu": device.name, "justes": right, "faux": wrong, "durées": rows, "appel µs": cost}
    report["produits"] = product_tier()
    if os.environ.get("OUT"):
        text = json.dumps(report, indent=1, ensure_ascii=False)
        Path(os.environ["OUT"], "device.json").write_text(text)
    return 0 if dry else len(wrong)


if __name__ == "__main__":
    sys.exit(main())
