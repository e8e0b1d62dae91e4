"""Le hasard : les mots de Philox, les lois, les flux et leurs états."""

import copy
import math
import pickle

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import Mode, function, grad, shared
from engine.core.errors import DomainError, DtypeError, ShapeError
from engine.ops.rng import RandomNormal, RandomUniform, philox, state_words
from engine.tensor import raw_random
from engine.tensor.raw_random import new_state
from engine.tensor.shared_randomstreams import RandomStreams

MODES = [Mode("numpy", None), Mode("numba", None), "FAST_COMPILE", "FAST_RUN"]
N = 40_000


def value(draw):
    """La valeur d’un tirage, du même état à chaque appel."""
    return function([], draw, no_default_updates=True)()


# ---- Philox ------------------------------------------------------------------------------

# Random123, kat_vectors : « philox4x32 10 », compteur, clef, résultat
KNOWN_ANSWERS = [
    ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_words(counter, key, expected):
    words = philox([np.array([word], dtype="uint64") for word in counter], key)
    assert " ".join(f"{word[0]:08x}" for word in words) == expected


def scalar_philox(counter, key):
    """Philox 4x32-10 en entiers Python, écrit d’après l’article, sans NumPy."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        x, y = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (y >> 32) ^ b ^ k, y % 2**32, (x >> 32) ^ d ^ m, x % 2**32
        k, m = (k + 0x9E3779B9) % 2**32, (m + 0xBB67AE85) % 2**32
    return [a, b, c, d]


@pytest.mark.parametrize(
    "state", [(0, 0, 0), (2**64 - 1, 2**64 - 1, 2**64 - 2), (0x12345678_9ABCDEF0, 3, 2**32 - 1)]
)
def test_words_follow_the_counter(state):
    """Le compteur (position, flux) passe 2**32 et 2**64 sans se tromper."""
    key, stream, position = state
    expected = []
    for block in range(3):
        place = (position + block) % 2**64
        counter = [place % 2**32, place >> 32, stream % 2**32, stream >> 32]
        expected += scalar_philox(counter, [key % 2**32, key >> 32])
    assert state_words(np.array(state, dtype="uint64"), 11).tolist() == expected[:11]


def test_uniforms_are_exact_to_the_bit():
    state = new_state(2026, stream=5)
    words = state_words(state, 8).tolist()
    single = function([], RandomUniform("float32")(state, 8))()
    double = function([], RandomUniform("float64")(state, 4))()
    assert single.dtype == "float32"
    assert single.tolist() == [(word >> 8) / 2**24 for word in words]
    wide = [low + 2**32 * high for low, high in zip(words[::2], words[1::2], strict=True)]
    assert double.tolist() == [(word >> 11) / 2**53 for word in wide]


@pytest.mark.parametrize("op", [RandomUniform, RandomNormal])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_compiled_kernel_reads_the_same_words(op, dtype):
    """Au bord de 2**32 et de 2**64, pour chaque reste de la longueur modulo 4."""
    state, n = T.TensorType("uint64", (False,))("state"), T.lscalar("n")
    reference, numba = (function([state, n], op(dtype)(state, n), mode=mode) for mode in MODES[:2])
    for key, stream, position in [(2**64 - 1, 2**64 - 1, 2**64 - 1), (2**63, 2**40, 2**32 - 1)]:
        start = np.array([key, stream, position], dtype="uint64")
        for length in (0, 1, 2, 3, 4, 5, 30):
            np.testing.assert_array_equal(numba(start, length), reference(start, length))


def test_normals_are_within_their_stated_ulp():
    """Box et Muller refaits en précision étendue (80 bits) à partir des mêmes mots."""
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("longdouble n’est pas plus précis que float64 ici")
    state, limits = new_state(7), {"float32": 1.0, "float64": 4.0}
    for dtype, limit in limits.items():
        obtained = function([], RandomNormal(dtype)(state, N))()
        words = state_words(state, N * (1 if dtype == "float32" else 2))
        if dtype == "float64":
            words, bits = (words[::2] | words[1::2] << np.uint64(32)) >> np.uint64(12), 52
        else:
            bits = 32
        u, v = ((words[rank::2].astype(np.longdouble) + 0.5) / 2**bits for rank in (0, 1))
        quarter = np.rint(4 * v)
        angle = 8 * np.arctan(np.longdouble(1)) * (v - quarter / 4)  # ramené : petit et précis
        cosine, sine, turn = np.cos(angle), np.sin(angle), quarter.astype(int) % 4
        radius = np.sqrt(-2 * np.log(u))
        pair = [
            radius * np.select([turn == 0, turn == 1, turn == 2], [cosine, -sine, -cosine], sine),
            radius * np.select([turn == 0, turn == 1, turn == 2], [sine, cosine, -sine], -cosine),
        ]
        exact = np.stack(pair, axis=-1).reshape(-1)
        ulp = np.abs(obtained - exact) / np.spacing(np.abs(exact).astype(dtype))
        print(f"{dtype} : {ulp.max():.2f} ulp")
        assert ulp.max() <= limit


# ---- les flux ----------------------------------------------------------------------------


def test_same_seed_same_numbers_and_every_call_is_new():
    first, second = (function([], RandomStreams(11).normal((3, 2))) for _ in range(2))
    calls = [first() for _ in range(3)]
    for call in calls:
        np.testing.assert_array_equal(second(), call)
    assert len(np.unique(calls)) == 18
    assert not np.array_equal(value(RandomStreams(12).normal((3, 2))), calls[0])


def test_two_draws_of_one_source_differ():
    stream = RandomStreams(1)
    a, b = function([], [stream.uniform((50,)), stream.uniform((50,))])()
    assert not set(a) & set(b)


def test_without_default_updates_the_same_numbers_return():
    stream = RandomStreams(1)
    draw = stream.uniform((4,))
    f, g = function([], draw, no_default_updates=True), function([], draw)
    np.testing.assert_array_equal(f(), f())
    first = f()
    np.testing.assert_array_equal(g(), first)
    assert not np.array_equal(f(), first)  # g a fait avancer l’état commun
    nearly_zeros = function([], draw + draw - 2 * draw)
    assert (nearly_zeros() == 0).all()


@pytest.mark.parametrize("size", [1, 4, 5, 11])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("law", ["uniform", "normal"])
def test_successive_calls_never_share_a_word(law, dtype, size):
    f = function([], getattr(RandomStreams(3), law)((size,), dtype=dtype))
    drawn = np.concatenate([f() for _ in range(40)])
    assert len(np.unique(drawn)) == len(drawn)


def test_updates_are_all_or_nothing():
    stream, x, total = RandomStreams(1), T.dvector("x"), shared(np.zeros(2), name="total")
    draw = stream.uniform((2,))
    state = draw.rng
    f = function([x], draw, updates=[(total, total + x + draw)])
    before = state.get_value()
    with pytest.raises(engine.core.errors.EngineError):
        f([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(state.get_value(), before)
    assert (total.get_value() == 0).all()
    f([1.0, 2.0])
    assert state.get_value().tolist() == [1, 0, 1]


def test_explicit_updates_and_seeding_again():
    stream = RandomStreams(5)
    u, z = stream.uniform((3,)), stream.normal((3,))
    f = function([], [u, z], updates=stream.updates(), no_default_updates=True)
    first, second = f(), f()
    assert not np.array_equal(first, second)
    stream.seed(5)
    np.testing.assert_array_equal(f(), first)
    stream.seed(6)
    assert not np.array_equal(f(), first)
    stream.seed()
    stream.seed(5)
    np.testing.assert_array_equal([f(), f()], [first, second])


def test_a_state_can_be_handed_over():
    """L’état d’une source se lit et se pose, comme dans les tutoriels de Theano."""
    one, two = RandomStreams(1), RandomStreams(2)
    f, g = (function([], source.uniform((3,))) for source in (one, two))
    f()
    for (source, _), (target, _) in zip(one.state_updates, two.state_updates, strict=True):
        target.set_value(source.get_value())
    np.testing.assert_array_equal(f(), g())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))])
def test_a_copied_function_draws_on_its_own(duplicate):
    f = function([], RandomStreams(9).normal((3,)))
    f()
    g = duplicate(f)
    expected = [f(), f()]
    np.testing.assert_array_equal([g(), g()], expected)
    stream = duplicate(RandomStreams(9))
    np.testing.assert_array_equal(
        value(stream.uniform((3,))), value(RandomStreams(9).uniform((3,)))
    )


def test_seeds():
    assert len({tuple(value(RandomStreams().uniform((2,)))) for _ in range(3)}) == 3
    big, small = (value(RandomStreams(seed).uniform((2,))) for seed in (2**64 + 3, np.int32(3)))
    np.testing.assert_array_equal(big, small)
    assert not np.array_equal(value(RandomStreams(-3).uniform((2,))), small)
    with pytest.raises(DomainError, match="graine"):
        RandomStreams("hasard")


# ---- formes, dtypes, dos de calcul -------------------------------------------------------

LAWS = {
    "uniform": {"low": -1.0, "high": 3.0},
    "normal": {"avg": 1.0, "std": 2.0},
    "binomial": {"n": 3, "p": 0.3},
    "multinomial": {"pvals": [0.2, 0.3, 0.5]},
    "random_integers": {"low": -2, "high": 5},
    "randint": {"low": -2, "high": 5},
    "choice": {"a": [2.5, 3.5, 4.5], "p": [0.2, 0.3, 0.5]},
    "permutation": {"n": 6},
}


@pytest.mark.parametrize("law", LAWS)
def test_every_back_end_gives_the_same_numbers(law):
    draws = []
    for mode in MODES:
        draw = getattr(RandomStreams(21), law)((7, 3), **LAWS[law])
        f = function([], draw, mode=mode)
        draws.append(np.stack([f(), f()]))
        assert draws[-1].dtype == draw.dtype
        assert draws[-1].shape[:3] == (2, 7, 3)
        np.testing.assert_array_equal(draws[-1], draws[0], err_msg=f"{law}, {mode}")


@pytest.mark.parametrize("law", LAWS)
def test_symbolic_sizes(law):
    x, n = T.dmatrix("x"), T.lscalar("n")
    point = np.zeros((4, 2))
    stream = RandomStreams(3)
    sizes = [x.shape, (x.shape[0], 2), (n, 2), (4, 2), np.array([4, 2])]
    draws = [getattr(stream, law)(size, **LAWS[law]) for size in sizes]
    for draw in function([x, n], draws)(point, 4):
        assert draw.shape[:2] == (4, 2)
    size = T.lvector("size")
    draw = getattr(stream, law)(size, ndim=2, **LAWS[law])
    assert function([size], draw)([4, 2]).shape[:2] == (4, 2)
    assert function([size], draw)([0, 2]).shape[:2] == (0, 2)
    assert function([size], draw.shape)([5, 1])[:2].tolist() == [5, 1]


def test_sizes_come_from_the_parameters():
    low, p = T.dmatrix("low"), T.dmatrix("p")
    stream = RandomStreams(3)
    draws = [stream.uniform(low=low, high=low + 1), stream.normal((), low), stream.binomial(p=p)]
    point = np.full((2, 3), 0.5)
    shapes = [d.shape for d in function([low, p], draws)(point, point)]
    assert shapes == [(2, 3)] * 3
    assert value(stream.uniform()).shape == value(stream.choice(a=4)).shape == ()
    assert value(stream.multinomial(pvals=np.full((5, 4), 0.25))).shape == (5, 4)
    assert value(stream.permutation(n=0)).shape == (0,)


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_dtypes(floatX):
    with engine.config.change_flags(floatX=floatX):
        stream = RandomStreams(3)
        assert value(stream.uniform((2,), 1.0, 2.0)).dtype == floatX
        assert value(stream.normal((2,), 1.0, 2.0)).dtype == floatX
        assert value(stream.uniform((2,), dtype="float32")).dtype == "float32"
        assert value(stream.binomial((2,), dtype=floatX)).dtype == floatX
        assert value(stream.multinomial(pvals=[1.0], dtype=floatX)).dtype == floatX
    assert value(stream.normal((2,), np.float64(1))).dtype == "float64"
    assert value(stream.choice((2,), 3, dtype="int32")).dtype == "int32"
    assert value(stream.permutation(n=3)).dtype == "int64"


# ---- statistiques ------------------------------------------------------------------------


def kolmogorov(sample, distribution):
    """√n sup |F_n - F| ; au-delà de 2,2, une chance sur 8 000 (2 exp(-2 d²))."""
    ordered = np.sort(sample)
    expected = np.array([distribution(x) for x in ordered])
    ranks = np.arange(len(sample) + 1) / len(sample)
    gap = max(np.abs(expected - ranks[1:]).max(), np.abs(expected - ranks[:-1]).max())
    return math.sqrt(len(sample)) * gap


def assert_moments(sample, mean, variance, sigmas=5):
    """Moyenne et variance à `sigmas` écarts types de l’estimateur."""
    kurtosis = ((sample - sample.mean()) ** 4).mean()
    assert abs(sample.mean() - mean) < sigmas * math.sqrt(variance / sample.size)
    spread = math.sqrt(max(kurtosis - variance**2, 1e-12) / sample.size)
    assert abs(sample.var() - variance) < sigmas * spread + 1e-3 * variance


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_continuous_laws(dtype):
    stream = RandomStreams(123)
    u = value(stream.uniform((N,), -1.0, 3.0, dtype=dtype)).astype("float64")
    assert -1 <= u.min() < u.max() < 3
    assert_moments(u, 1.0, 16 / 12)
    assert kolmogorov(u, lambda x: (x + 1) / 4) < 2.2
    z = value(stream.normal((N,), 1.0, 2.0, dtype=dtype)).astype("float64")
    assert_moments(z, 1.0, 4.0)
    assert kolmogorov(z, lambda x: (1 + math.erf((x - 1) / math.sqrt(8))) / 2) < 2.2
    pairs = (z.reshape(-1, 2) - 1) / 2  # les deux normales d’une paire sont indépendantes
    assert abs((pairs[:, 0] * pairs[:, 1]).mean()) < 5 / math.sqrt(N / 2)


def test_discrete_laws():
    stream = RandomStreams(77)
    assert_moments(value(stream.binomial((N,), 1, 0.3)), 0.3, 0.21)
    assert_moments(value(stream.binomial((N,), 7, 0.3)), 2.1, 1.47)
    integers = value(stream.random_integers((N,), -2, 5))
    np.testing.assert_array_equal(np.unique(integers), np.arange(-2, 6))
    assert_moments(integers, 1.5, 63 / 12)
    pvals = np.array([[0.1, 0.0, 0.9], [0.3, 0.3, 0.4]])
    rows = value(stream.multinomial(pvals=np.repeat(pvals, N // 2, axis=0)))
    assert (rows.sum(axis=1) == 1).all()
    frequencies = rows.reshape(2, N // 2, 3).mean(axis=1)
    np.testing.assert_allclose(frequencies, pvals, atol=5 * 0.5 / math.sqrt(N / 2))
    assert frequencies[0, 1] == 0
    counts = value(stream.multinomial((N,), 4, [0.25, 0.75]))
    assert (counts.sum(axis=1) == 4).all()
    assert_moments(counts[:, 0], 1.0, 0.75)


def test_sampling_without_replacement():
    stream = RandomStreams(8)
    orders = value(stream.permutation((6000,), 3))
    assert (np.sort(orders) == [0, 1, 2]).all()
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert (np.abs(counts - 1000) < 5 * math.sqrt(1000)).all()
    f = function([], stream.choice((2,), [10, 20, 30], replace=False, p=[0.5, 0.5, 0.0]))
    assert all(sorted(f()) == [10, 20] for _ in range(20))
    first = function([], stream.choice((1,), 3, replace=False, p=[0.2, 0.3, 0.5]))
    found = np.bincount(np.concatenate([first() for _ in range(2000)]), minlength=3) / 2000
    np.testing.assert_allclose(found, [0.2, 0.3, 0.5], atol=5 * 0.5 / math.sqrt(2000))
    shuffled = value(stream.shuffle_row_elements(np.arange(12).reshape(2, 6)))
    np.testing.assert_array_equal(shuffled[1], shuffled[0] + 6)


# ---- dérivées ----------------------------------------------------------------------------


def test_gradient_goes_through_the_parameters():
    low, high, avg, std = T.dscalars("low", "high", "avg", "std")
    stream = RandomStreams(4)
    u, z = stream.uniform((5,), low, high), stream.normal((5,), avg, std)
    slopes = grad(u.sum() + z.sum(), [low, high, avg, std])
    f = function([low, high, avg, std], [u, z, *slopes])
    drawn_u, drawn_z, d_low, d_high, d_avg, d_std = f(2.0, 5.0, 1.0, 3.0)
    np.testing.assert_allclose(d_high, ((drawn_u - 2) / 3).sum(), rtol=1e-12)
    np.testing.assert_allclose(d_low, (1 - (drawn_u - 2) / 3).sum(), rtol=1e-12)
    np.testing.assert_allclose(d_avg, 5.0)
    np.testing.assert_allclose(d_std, ((drawn_z - 1) / 3).sum(), rtol=1e-12)


def test_a_mask_multiplies_the_gradient():
    x = T.dmatrix("x")
    mask = RandomStreams(4).binomial(x.shape, p=0.5, dtype="float64")
    drawn, slope = function([x], [mask, grad((x * mask).sum(), x)])(np.ones((6, 5)))
    np.testing.assert_array_equal(slope, drawn)
    assert 0 < drawn.mean() < 1


# ---- erreurs -----------------------------------------------------------------------------

REFUSED = {
    "taille négative": (ShapeError, "impossible", lambda s: s.uniform((2, -1))),
    "taille à virgule": (ShapeError, "entier", lambda s: s.uniform((2.5,))),
    "size et ndim": (ShapeError, "contredisent", lambda s: s.uniform((2,), ndim=2)),
    "ndim inconnu": (ShapeError, "ndim", lambda s: s.normal(T.lvector())),
    "paramètre trop grand": (ShapeError, "axes", lambda s: s.normal((2,), T.dmatrix())),
    "écart type": (DomainError, "écart type", lambda s: s.normal((2,), 0.0, -1.0)),
    "probabilité": (DomainError, "entre 0 et 1", lambda s: s.binomial((2,), p=1.5)),
    "essais négatifs": (DomainError, "négatif", lambda s: s.binomial((2,), n=-1)),
    "essais symboliques": (DtypeError, "connu", lambda s: s.binomial((2,), n=T.lscalar())),
    "somme": (DomainError, "somme", lambda s: s.multinomial(pvals=[0.5, 0.2])),
    "négative": (DomainError, "positifs", lambda s: s.multinomial(pvals=[1.5, -0.5])),
    "lignes": (ShapeError, "size", lambda s: s.multinomial((2, 2), pvals=T.dmatrix())),
    "intervalle vide": (DomainError, "high - low", lambda s: s.random_integers((2,), 3, 2)),
    "dtype": (DtypeError, "float32", lambda s: s.uniform((2,), dtype="int32")),
    "choix": (ShapeError, "vecteur", lambda s: s.choice((2,), T.dmatrix())),
    "poids négatif": (
        DomainError,
        "positives",
        lambda s: s.choice((1,), 2, replace=False, p=[-1.0, 2.0]),
    ),
    "poids en trop": (ShapeError, "autant", lambda s: s.choice((1,), 2, p=[0.2, 0.3, 0.5])),
    "sans remise": (ShapeError, "remise", lambda s: s.choice((4,), 3, replace=False)),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_impossible_requests_are_refused_at_once(mistake):
    kind, message, draw = REFUSED[mistake]
    with pytest.raises(kind, match=message):
        draw(RandomStreams(1))


def test_impossible_values_are_refused_when_computed():
    n, p, bad = T.lscalar("n"), T.dvector("p"), shared(np.zeros(2, dtype="uint64"))
    stream = RandomStreams(1)
    with pytest.raises(ShapeError, match="taille impossible"):
        function([n], stream.uniform((n,)))(-1)
    f = function([p], stream.multinomial(pvals=p))
    for weights in ([0.5, 0.6], [1.5, -0.5], [np.nan, 1.0], []):
        with pytest.raises(DomainError, match="probabilités impossibles"):
            f(weights)
    with pytest.raises(ShapeError, match="clef, flux, position"):
        function([], raw_random.uniform(bad, (2,)))()
    with pytest.raises(DtypeError, match="état"):
        raw_random.uniform(np.zeros(3), (2,))
    with pytest.raises(ShapeError):
        function([n], stream.choice((n,), 3, replace=False))(4)
