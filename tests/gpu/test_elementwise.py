"""Les boucles terme à terme du GPU, au niveau rapide : quatre éléments par fil, halves, sur place.

Les valeurs se vérifient dans le simulateur, contre NumPy ; le code machine, sans GPU, à la fin.
"""

from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

from engine import config
from engine.core.elemwise import Elemwise, elemwise
from engine.core.errors import ShapeError
from engine.core.scalars import SCALARS, cast_scalar
from engine.core.types import TensorType
from engine.gpu.kernels import positions, registry
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import Kernel, make_kernel
from engine.gpu.kernels.elementwise import elemwise_kernel
from engine.gpu.kernels.loops import Loop
from engine.gpu.kernels.machines import Simulator, machine
from engine.gpu.kernels.views import contiguous
from engine.gpu.kernels.writing import write_into
from engine.ops.composite import Composite, Step
from engine.ops.shape import Alloc, Join
from tests.device import report
from tests.device.requests import Recorder, using
from tests.gpu.marks import needs_compiler
from tests.gpu.test_parity import CASES, _cast, _transposed, compare

pytestmark = pytest.mark.skipif(
    not isinstance(machine(), Simulator), reason="un GPU est là : c'est lui que l'on essaie"
)
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _fast():
    with config.change_flags(gpu_tier="fast"):
        yield


@pytest.fixture
def texts(monkeypatch):
    """Les textes des noyaux lancés, dans l’ordre."""
    found, launch = [], Kernel.launch

    def noting(self, blocks, *arguments):
        found.append(self.text)
        launch(self, blocks, *arguments)

    monkeypatch.setattr(Kernel, "launch", noting)
    return found


def random(*shape, dtype="float32"):
    values = RNG.normal(size=shape) * 4
    return (values > 0 if dtype == "bool" else values).astype(dtype)


def function_of(op, *dtypes_ndims):
    types = [TensorType(dtype, (False,) * ndim)() for dtype, ndim in dtypes_ndims]
    return registry.device_function(op.make_node(*types))


def run(op, *values):
    """Le résultat du noyau et celui de NumPy."""
    node = op.make_node(*[TensorType(str(v.dtype), (False,) * v.ndim)() for v in values])
    storage = [[None]]
    op.perform(node, [np.array(v) for v in values], storage)
    return registry.device_function(node)(*map(upload, values)).to_host(), storage[0][0]


@pytest.mark.parametrize("family", ["Elemwise", "Join", "Alloc", "Reshape", "DimShuffle"])
def test_the_fast_tier_agrees_with_numpy(family):
    for op, sample in CASES:
        if type(op).__name__ == family:
            compare(op, _cast(sample, "float32"))
            if family == "Join":
                compare(op, _cast(sample, "float32"), _transposed)


FULL = (3, 2, 8)
BROADCASTS = {
    "la même forme": (FULL, FULL, 4),
    "une fin de moins de quatre": ((3, 5), (3, 5), 4),
    "moins de quatre en tout": ((3,), (3,), 4),
    "un nombre": (FULL, (), 4),
    "une ligne": (FULL, (8,), 4),
    "une colonne": (FULL, (3, 2, 1), 4),
    "un biais de convolution": ((2, 3, 2, 2), (3, 1, 1), 4),
    "deux diffusés": ((6, 1), (1, 8), 4),
    "une ligne de cinq": ((3, 5), (5,), 1),
    "une ligne de six": ((3, 6), (6,), 2),
    "rien": ((0, 4), (4,), 0),
}


@pytest.mark.parametrize("case", BROADCASTS)
def test_a_broadcast_is_read_four_by_four_where_it_can(case, texts):
    left, right, width = BROADCASTS[case]
    ndim = max(len(left), len(right))
    x, y = random(*left), random(*(1,) * (ndim - len(right) if right else 0), *right)
    for values in ((x, y), (y, x)):
        found, wanted = run(elemwise("sub"), *values)
        np.testing.assert_array_equal(found, wanted)
    assert len(texts) == (2 if width else 0)
    for text in texts:
        assert [w for w in (8, 4, 2) if f"store{w}" in text] == [width] * (width > 1)


@pytest.mark.parametrize("dtype", ["float64", "int32", "int8", "bool", "float16"])
def test_every_item_size_goes_four_by_four(dtype, texts):
    x, y = random(3, 7, dtype=dtype), random(3, 7, dtype=dtype)
    found, wanted = run(elemwise("or_" if dtype == "bool" else "add"), x, y)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype
    assert f"load{min(16 // x.itemsize, 8)}" in texts[0]


@pytest.mark.parametrize("length", [8, 4, 2, 1])
def test_rows_say_how_many_items_go_at_once(length, texts):
    x, row = random(3, length, dtype="float16"), random(3, 1, length, dtype="float16")
    found, wanted = run(elemwise("add"), x[None], row)
    np.testing.assert_array_equal(found, wanted)
    assert [width for width in (8, 4, 2) if f"load{width}" in texts[0]] == [length] * (length > 1)


def test_a_function_in_double_goes_one_by_one(texts):
    run(elemwise("erf"), random(3, 8, dtype="float64"))
    assert "load" not in texts[0]


def test_a_view_says_by_its_start_how_many_go_at_once(texts):
    x = upload(random(17))
    add = function_of(elemwise("add"), ("float32", 1), ("float32", 1))
    for start, width in ((1, 1), (4, 4), (6, 2)):
        part = x[start : start + 9]
        np.testing.assert_array_equal(add(part, part).to_host(), 2 * part.to_host())
        assert [w for w in (8, 4, 2) if f"load{w}" in texts[-1]] == [width] * (width > 1)


def test_strides_of_any_kind_still_serve():
    x, y = random(4, 8), random(8, 4)
    add = function_of(elemwise("add"), ("float32", 2), ("float32", 2))
    turned, back = upload(y).transpose(1, 0), upload(x)[::-1, ::-1]
    np.testing.assert_array_equal(add(turned, back).to_host(), y.T + x[::-1, ::-1])


def test_beyond_32_bits_places_are_counted_in_64(monkeypatch):
    monkeypatch.setattr(positions, "_REACH", 8)
    x, row = random(3, 8), random(1, 8)
    for tier in ("fast", "readable"):
        with config.change_flags(gpu_tier=tier):
            found, wanted = run(elemwise("mul"), x, row)
            np.testing.assert_array_equal(found, wanted)
            back = upload(x)[:, ::-1]
            np.testing.assert_array_equal(back.copy().to_host(), x[:, ::-1])


def test_several_results_at_once(texts):
    steps = tuple(
        Step(SCALARS[name], (("in", 0), ("in", 1)), ("float32",) * 2, "float32")
        for name in ("add", "mul")
    )
    op = Elemwise(Composite(steps, ("float32", "float32"), results=(0, 1)))
    x, y = random(3, 3), random(3, 3)
    node = op.make_node(*[TensorType("float32", (False, False))() for _ in "xy"])
    node.outputs = [TensorType("float32", (False, False))() for _ in "xy"]
    total, product = registry.device_function(node)(upload(x), upload(y))
    np.testing.assert_array_equal(total.to_host(), x + y)
    np.testing.assert_array_equal(product.to_host(), x * y)
    assert "load4" in texts[0]


TURNS = {
    "une matrice": ((6, 5), (1, 0)),
    "une pile": ((3, 2, 5), (0, 2, 1)),
    "les canaux à la fin": ((2, 4, 3, 3), (0, 2, 3, 1)),
    "trois axes à l'envers": ((2, 3, 4), (2, 1, 0)),
}


@pytest.mark.parametrize("case", TURNS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bool"])
def test_a_transposed_copy_goes_by_tiles(case, dtype, texts):
    shape, axes = TURNS[case]
    x = random(*shape, dtype=dtype)
    np.testing.assert_array_equal(upload(x).transpose(*axes).copy().to_host(), x.transpose(axes))
    assert "shared.array" in texts[0]


def test_a_transposed_part_is_written_in_its_place():
    x, out = random(5, 6), upload(random(8, 7))
    wanted = out.to_host()
    wanted[2:8, 1:6] = x.T
    write_into(out[2:8, 1:6], upload(x).transpose(1, 0))
    np.testing.assert_array_equal(out.to_host(), wanted)


# -- float16 et bfloat16 ------------------------------------------------------------------------


@pytest.mark.parametrize("tier", ["fast", "readable"])
def test_half_numbers_are_computed_in_float32(tier):
    x, y = random(3, 6, dtype="float16"), random(1, 6, dtype="float16")
    with config.change_flags(gpu_tier=tier):
        found, _ = run(elemwise("mul"), x, y)
        exact = (x.astype("float32") * y).astype("float16")
        np.testing.assert_array_equal(found, exact)
        mixed, _ = run(elemwise("add"), x, y.astype("float32"))
        assert mixed.dtype == "float32"


def node_of(op, dtype, count):
    """Un nœud de ces dtypes : bfloat16 peut manquer aux types du moteur, pas aux noyaux."""
    return SimpleNamespace(
        op=op,
        inputs=[SimpleNamespace(dtype=dtype, ndim=2)] * count,
        outputs=[SimpleNamespace(dtype=dtype, ndim=2)],
    )


@pytest.mark.parametrize("tier", ["fast", "readable"])
def test_a_bfloat16_is_computed_in_float32(tier):
    x, y = (random(3, 8).astype(ml_dtypes.bfloat16) for _ in "xy")
    with config.change_flags(gpu_tier=tier):
        product = elemwise_kernel(node_of(elemwise("mul"), "bfloat16", 2))
    exact = (x.astype("float32") * y.astype("float32")).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(product(upload(x), upload(y)).to_host(), exact)


def test_a_chain_rounds_where_a_conversion_says_so():
    steps = (
        Step(cast_scalar("float16"), (("in", 0),), ("float32",), "float16"),
        Step(cast_scalar("float32"), (("step", 0),), ("float16",), "float32"),
    )
    op = Elemwise(Composite(steps, ("float32",)))
    found, wanted = run(op, random(9))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("half", ["float16", ml_dtypes.bfloat16], ids=["half", "brain"])
def test_halves_are_moved_bit_for_bit_and_converted_rounded(half):
    x = RNG.normal(size=(3, 4)).astype(half)
    np.testing.assert_array_equal(upload(x).transpose(1, 0).copy().to_host(), x.T)
    single = empty((3, 4), "float32")
    write_into(single, upload(x))
    np.testing.assert_array_equal(single.to_host(), x.astype("float32"))
    values = random(3, 4)
    out = empty((3, 4), half)
    write_into(out, upload(values))
    np.testing.assert_array_equal(out.to_host(), values.astype(half))
    write_into(out, upload(values), add=True)
    twice = values.astype(half).astype("float32") + values
    np.testing.assert_array_equal(out.to_host(), twice.astype(half))


def test_views_of_halves():
    x = random(2, 4, dtype="float16")
    found, wanted = run(Join(1), x, x[:, :1])
    np.testing.assert_array_equal(found, wanted)
    alloc = registry.device_function(
        Alloc().make_node(TensorType("float16", (False,))(), *[TensorType("int64", ())()] * 2)
    )
    np.testing.assert_array_equal(alloc(upload(x[0]), 3, 4).to_host(), x[[0, 0, 0]])


# -- écrire dans un tableau donné ---------------------------------------------------------------


def test_shapes_that_do_not_agree_are_said_as_on_the_host():
    add = function_of(elemwise("add"), ("float32", 1), ("float32", 1))
    with pytest.raises(ShapeError, match="formes incompatibles"):
        add(upload(random(3)), upload(random(4)))


def test_a_call_says_its_tier():
    add = function_of(elemwise("add"), ("float32", 1), ("float32", 1))
    assert add.tier.name == "rapide"
    x = upload(random(4))
    assert contiguous(x) is x


# -- le code machine, sans GPU ------------------------------------------------------------------

_CHAIN = (("mul", "in0", "in1"), ("tanh", "s0"), ("mul", "s1", "in2"), ("add", "s2", "in3"))
_GELU = (("mul", "in0", 0.7), ("erf", "s0"), ("add", "s1", 1.0), ("mul", "s2", "in0"))
_SGD = (("mul", "in1", "in2"), ("sub", "in0", "s0"))


def _composite(rows, nin):
    def place(item):
        if isinstance(item, float):
            return "const", item
        return ("in" if item.startswith("in") else "step"), int(item[-1])

    steps = [
        Step(SCALARS[name], tuple(map(place, items)), ("float32",) * len(items), "float32")
        for name, *items in rows
    ]
    return Elemwise(Composite(steps, ("float32",) * nin))


BIG = (64, 96)
COMPILED = {
    "add": (elemwise("add"), [BIG, BIG], 3),
    "add, une ligne": (elemwise("add"), [BIG, (1, 96)], 3),
    "add, une colonne": (elemwise("add"), [BIG, (64, 1)], 2),
    "sgd": (_composite(_SGD, 3), [BIG, (), BIG], 3),
    "tanh": (elemwise("tanh"), [BIG], 2),
    "sigmoid": (elemwise("sigmoid"), [BIG], 2),
    "softplus": (elemwise("softplus"), [BIG], 2),
    "erf": (elemwise("erf"), [BIG], 2),
    "gelu": (_composite(_GELU, 1), [BIG], 2),
    "chaîne": (_composite(_CHAIN, 4), [BIG] * 4, 5),
}


def requests_of(op, shapes, dtype="float32"):
    """Les noyaux que demande un appel, à la machine qui ne fait que les noter."""
    with using(Recorder()) as recorder:
        function = function_of(op, *[(dtype, len(shape)) for shape in shapes])
        function(*[empty(shape, dtype) for shape in shapes])
    return recorder.requests


@needs_compiler
def test_the_machine_code_is_lean(tmp_path):
    """32 registres : tous les fils qu’un multiprocesseur peut tenir y tiennent."""
    with config.change_flags(cache_dir=str(tmp_path)):
        wanted = {name: requests_of(op, shapes)[0] for name, (op, shapes, _) in COMPILED.items()}
        found = dict(report.rows(list(wanted.values()), "sm_90a"))
        for name, request in wanted.items():
            read = found[request]
            assert read.spills == read.local == read.stack == read.doubles == 0, name
            assert read.registers <= 32 and read.wide == COMPILED[name][2], (name, read)
        for dtype, wide in (("float64", 3), ("int32", 3), ("float16", 3), ("bfloat16", 3)):
            with using(Recorder()) as recorder:
                add = elemwise_kernel(node_of(elemwise("add"), dtype, 2))
                add(empty(BIG, dtype), empty(BIG, dtype))
            request = recorder.requests[0]
            ((_, read),) = report.rows([request], "sm_90a")
            assert read.wide == wide and read.spills == 0
        copies = Loop("copie", "copier", "def each(y):\n    return y\n", ("float32",), ("float32",))
        with using(Recorder()) as recorder:
            make_kernel(*copies.wide(BIG, [(96, 1)] * 2, [0, 0]).kernel).prepared(recorder)
        ((_, read),) = report.rows(recorder.requests[:1], "sm_90a")
        assert read.wide == 2 and read.instructions < 120
