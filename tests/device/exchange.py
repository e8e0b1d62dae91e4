"""Sur une machine qui a un GPU et PyTorch (ou CuPy) : les tableaux passent de l’un à l’autre.

    python -m tests.device.exchange

Chaque ligne dit ce qui a été essayé ; une adresse différente est une copie, donc une faute. Aucun
noyau n’est demandé.
"""

import gc
import importlib.util
import sys

import numpy as np

from engine import config, shared
from engine.core.types import TensorType
from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.dlpack import ExchangeError
from engine.gpu.kernels.exchange import as_device_array
from engine.gpu.kernels.machines import machine, why_simulated

DTYPES = ("float32", "float16", "bfloat16", "int64", "bool")
LARGE = 1 << 26  # éléments : un calcul assez long pour qu’une attente oubliée se voie
_ROUNDS = 20


def main():
    why = why_simulated()
    if why is not None:
        print(f"rien à essayer ici : {why}")
        return 1
    config.device = "cuda"
    libraries = [name for name in ("torch", "cupy") if importlib.util.find_spec(name)]
    failures = 0
    for check in [make for name in libraries for make in CHECKS[name]]:
        try:
            print(f"juste : {check.__doc__} {check() or ''}")
        except Exception as error:  # une faute n’arrête pas les suivantes
            failures += 1
            print(f"FAUTE : {check.__doc__} {type(error).__name__} : {error}")
    return failures


def torch_lends():
    """PyTorch prête, sans copie, en chaque dtype et à rebours de ses pas."""
    torch = importlib.import_module("torch")
    for dtype in DTYPES:
        given = torch.arange(12, device="cuda").reshape(3, 4).to(getattr(torch, dtype))
        for view in (given, given.t(), given[1:, ::2], given[0, 0], given[:0]):
            found = as_device_array(view)
            expected = view.to(torch.float32).cpu().numpy()
            np.testing.assert_array_equal(found.to_host().astype("float32"), expected)
            same = not view.numel() or machine().address(found) == view.data_ptr()
            assert same, f"{dtype} : une copie"


def torch_borrows():
    """PyTorch emprunte, sans copie, en chaque dtype."""
    torch = importlib.import_module("torch")
    for dtype in DTYPES:
        values = np.arange(12).reshape(3, 4).astype(TensorType(dtype).numpy_dtype)
        x = upload(values)
        seen = torch.from_dlpack(x[1:].transpose(1, 0))
        assert seen.data_ptr() == machine().address(x[1:]), f"{dtype} : une copie"
        np.testing.assert_array_equal(
            seen.to(torch.float32).cpu().numpy(), values[1:].T.astype("float32")
        )


def streams_wait():
    """Chacun attend les calculs de l’autre, sans que l’hôte attende."""
    torch = importlib.import_module("torch")
    for _ in range(_ROUNDS):
        given = torch.zeros(LARGE, device="cuda")
        given += 1  # lancé, pas fini
        found = as_device_array(given).copy()
        given += 1
        assert found[-1].to_host() == 1 and found[0].to_host() == 1
        back = torch.from_dlpack(found.copy())
        assert float(back.sum()) == LARGE


def owners_live():
    """Un prêt oublié par PyTorch garde sa valeur, puis se rend."""
    torch = importlib.import_module("torch")
    before = torch.cuda.memory_allocated()
    found = as_device_array(torch.full((LARGE,), 3.0, device="cuda"))
    gc.collect()
    torch.full((LARGE,), 5.0, device="cuda")
    assert found[7].to_host() == 3
    del found
    for _ in range(2):
        machine().synchronize()
        as_device_array(torch.ones(1, device="cuda"))
    return f"(rendus : {torch.cuda.memory_allocated() <= before + 4096})"


def shared_values():
    """`shared` et `set_value` prennent un tableau de PyTorch, et n’en dépendent plus."""
    torch = importlib.import_module("torch")
    given = torch.ones(5, device="cuda")
    w = shared(given, "w")
    given *= 2
    assert w.get_value().tolist() == [1] * 5
    w.set_value(given)
    given *= 2
    assert w.get_value().tolist() == [2] * 5


def host_is_said():
    """Un tableau de l’hôte est refusé, et porté si on le demande."""
    torch = importlib.import_module("torch")
    try:
        as_device_array(torch.ones(3))
    except ExchangeError as error:
        assert as_device_array(torch.ones(3), copy=True).to_host().tolist() == [1] * 3
        return f"({error.summary})"
    raise AssertionError("accepté")


def cupy_both_ways():
    """CuPy prête et emprunte, par les deux protocoles."""
    cupy = importlib.import_module("cupy")
    given = cupy.arange(12, dtype="float32").reshape(3, 4)
    found = as_device_array(given[::-1])
    np.testing.assert_array_equal(found.to_host(), cupy.asnumpy(given[::-1]))
    for seen in (cupy.asarray(found), cupy.from_dlpack(found)):
        np.testing.assert_array_equal(cupy.asnumpy(seen), found.to_host())
        assert seen.data.ptr == machine().address(found)


CHECKS = {
    "torch": [torch_lends, torch_borrows, streams_wait, owners_live, shared_values, host_is_said],
    "cupy": [cupy_both_ways],
}


if __name__ == "__main__":
    sys.exit(main())
