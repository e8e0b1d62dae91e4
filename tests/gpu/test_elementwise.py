"""Les boucles terme à terme du GPU : à plat, par indices, halves, sur place.

Les valeurs se vérifient dans le simulateur, contre NumPy ; le code machine, sans GPU, à la fin.
"""

from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import config
from engine.core.elemwise import Elemwise, elemwise
from engine.core.errors import ShapeError
from engine.core.scalars import SCALARS, cast_scalar
from engine.core.types import TensorType
from engine.gpu.kernels import loops, registry
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.elementwise import elemwise_kernel
from engine.gpu.kernels.machines import Simulator, machine
from engine.gpu.kernels.writing import write_into
from engine.ops.composite import Composite, Step
from engine.ops.shape import Alloc, Join
from tests.device import report
from tests.device.requests import Recorder, using
from tests.gpu.marks import needs_compiler

pytestmark = pytest.mark.skipif(
    not isinstance(machine(), Simulator), reason="un GPU est là : c'est lui que l'on essaie"
)
RNG = np.random.default_rng(0)


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


@st.composite
def views(draw, shape):
    """Un tableau qui se diffuse à cette forme, rangé n’importe comment, et ses valeurs."""
    given_shape = [n if draw(st.booleans()) else 1 for n in shape]
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from([1, 1, 2, -1])) for _ in shape]
    stored = [abs(step) * n for step, n in zip(steps, given_shape, strict=True)]
    values = RNG.normal(size=[stored[axis] for axis in order]).astype("float32")
    back = np.argsort(order)
    index = tuple(slice(None, None, step) for step in steps)
    return upload(values).transpose(*back)[index], values.transpose(back)[index]


@given(st.data(), st.lists(st.integers(0, 5), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_layouts_broadcast_as_in_numpy(data, shape):
    """Et s’écrivent, ou s’ajoutent, à une place quelconque."""
    (x, a), (y, b), (out, wanted) = (data.draw(views(shape)) for _ in range(3))
    node = elemwise("sub").make_node(*[TensorType("float32", (False,) * len(shape))()] * 2)
    np.testing.assert_array_equal(registry.device_function(node)(x, y).to_host(), a - b)
    if np.broadcast_shapes(a.shape, wanted.shape) == wanted.shape:
        write_into(out, x)
        np.testing.assert_array_equal(out.to_host(), np.broadcast_to(a, wanted.shape))
        write_into(out, x, add=True)
        np.testing.assert_array_equal(out.to_host(), 2 * np.broadcast_to(a, wanted.shape))


@pytest.mark.parametrize("dtype", ["float64", "int32", "int8", "bool", "float16"])
def test_every_dtype(dtype):
    x, y = random(3, 7, dtype=dtype), random(3, 7, dtype=dtype)
    found, wanted = run(elemwise("or_" if dtype == "bool" else "add"), x, y)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(upload(x).transpose(1, 0).copy().to_host(), x.T)


def test_beyond_32_bits_indices_are_counted_in_64(monkeypatch):
    monkeypatch.setattr(loops, "word_for", lambda shape: "int64")
    x, row = random(3, 8), random(1, 8)
    found, wanted = run(elemwise("mul"), x, row)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(upload(x)[:, ::-1].copy().to_host(), x[:, ::-1])


def test_several_results_at_once():
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


# -- float16 et bfloat16 ------------------------------------------------------------------------


def test_half_numbers_are_computed_in_float32():
    x, y = random(3, 6, dtype="float16"), random(1, 6, dtype="float16")
    found, _ = run(elemwise("mul"), x, y)
    np.testing.assert_array_equal(found, (x.astype("float32") * y).astype("float16"))
    mixed, _ = run(elemwise("add"), x, y.astype("float32"))
    assert mixed.dtype == "float32"


def node_of(op, dtype, count):
    """Un nœud de ces dtypes : bfloat16 peut manquer aux types du moteur, pas aux noyaux."""
    return SimpleNamespace(
        op=op,
        inputs=[SimpleNamespace(dtype=dtype, ndim=2)] * count,
        outputs=[SimpleNamespace(dtype=dtype, ndim=2)],
    )


def test_a_bfloat16_is_computed_in_float32():
    x, y = (random(3, 8).astype(ml_dtypes.bfloat16) for _ in "xy")
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
    "add": (elemwise("add"), [BIG, BIG]),
    "add, une ligne": (elemwise("add"), [BIG, (1, 96)]),
    "add, une colonne": (elemwise("add"), [BIG, (64, 1)]),
    "sgd": (_composite(_SGD, 3), [BIG, (), BIG]),
    "tanh": (elemwise("tanh"), [BIG]),
    "sigmoid": (elemwise("sigmoid"), [BIG]),
    "softplus": (elemwise("softplus"), [BIG]),
    "erf": (elemwise("erf"), [BIG]),
    "gelu": (_composite(_GELU, 1), [BIG]),
    "chaîne": (_composite(_CHAIN, 4), [BIG] * 4),
}


def requests_of(op, shapes, dtype="float32"):
    """Les noyaux que demande un appel, à la machine qui ne fait que les noter."""
    with using(Recorder()) as recorder:
        function = function_of(op, *[(dtype, len(shape)) for shape in shapes])
        function(*[empty(shape, dtype) for shape in shapes])
    return recorder.requests


@needs_compiler
@pytest.mark.parametrize("architecture", ["sm_75", "sm_90a"])
def test_the_machine_code_is_lean(architecture, tmp_path):
    """32 registres : tous les fils qu’un multiprocesseur peut tenir y tiennent."""
    with config.change_flags(cache_dir=str(tmp_path)):
        wanted = {name: requests_of(op, shapes)[0] for name, (op, shapes) in COMPILED.items()}
        found = dict(report.rows(list(wanted.values()), architecture))
        for name, request in wanted.items():
            read = found[request]
            assert read.spills == read.local == read.stack == read.doubles == 0, name
            assert read.registers <= 32, (name, read)
