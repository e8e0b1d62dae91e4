"""Fonctions usuelles en float32, écrites en polynômes sans branche.

Une fonction de la bibliothèque mathématique, appelée dans une boucle, empêche le compilateur de
traiter plusieurs éléments à la fois. Une réduction de l’argument suivie d’un polynôme le permet :
la même source sert à Numba et à CUDA. Erreur relative : de l’ordre de 1e-7, vérifiée par les tests.

Chaque fonction prend et rend un float32.

Source des coefficients : S. Moshier, Cephes Mathematical Library, 1992 (expf, logf, tanhf).
"""

import math

import numpy as np

f32 = np.float32
i32 = np.int32


def exp_parts(x):
    """k et exp(r) - 1, où x = k ln 2 + r et r est dans [-ln 2 / 2, ln 2 / 2]."""
    k = np.floor(x * f32(1.44269504088896341) + f32(0.5))
    r = x - k * f32(0.693359375) - k * f32(-2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    return i32(k), p * r * r + r


def float_of(bits):
    """Le float32 que disent ces 32 bits."""
    return i32(bits).view(np.float32)


def bits_of(x):
    """Les 32 bits d’un float32."""
    return f32(x).view(np.int32)


def rint32(x):
    """L’entier le plus proche, le pair au milieu de deux."""
    return np.rint(x)


def power_of_2(k):
    """2**k, k dans [-126, 127] ; l’infini pour 128."""
    return float_of(i32(i32(k + i32(127)) << i32(23)))


def exp32(x):
    """exp(x) = 2**k exp(r) ; 2**k en deux facteurs : dénormaux et infini restent justes."""
    k, e = exp_parts(min(max(x, f32(-104.0)), f32(89.0)))
    half = i32(k >> i32(1))
    return (e + f32(1.0)) * power_of_2(half) * power_of_2(i32(k - half))


def log32(x):
    """log(x) = k ln 2 + log(m), m dans [sqrt(1/2), sqrt(2)]."""
    tiny = x < f32(1.17549435e-38)
    bits = bits_of(x * f32(8388608.0) if tiny else x)
    n = i32(i32(bits - i32(0x3F3504F3)) >> i32(23))
    f = float_of(i32(bits - i32(n << i32(23)))) - f32(1.0)
    k = f32(n) - (f32(23.0) if tiny else f32(0.0))
    z = f * f
    p = f32(7.0376836292e-2)
    p = p * f + f32(-1.1514610310e-1)
    p = p * f + f32(1.1676998740e-1)
    p = p * f + f32(-1.2420140846e-1)
    p = p * f + f32(1.4249322787e-1)
    p = p * f + f32(-1.6668057665e-1)
    p = p * f + f32(2.0000714765e-1)
    p = p * f + f32(-2.4999993993e-1)
    p = p * f + f32(3.3333331174e-1)
    p = p * f * z + k * f32(-2.12194440e-4) - f32(0.5) * z
    y = f + p + k * f32(0.693359375)
    y = x if x == f32(np.inf) else y
    y = f32(-np.inf) if x == f32(0.0) else y
    return y if x >= f32(0.0) else f32(np.nan)


def log1p32(x):
    """log(1 + x), l’arrondi de 1 + x étant corrigé au premier ordre."""
    u = f32(1.0) + x
    y = log32(u)
    exact = u - f32(1.0) == x or u == f32(0.0) or u == f32(np.inf)
    return y if exact else y + (x - (u - f32(1.0))) / u


def tanh32(x):
    """tanh(x) = e / (e + 2), où e = exp(2x) - 1 = 2**k (exp(r) - 1) + (2**k - 1)."""
    k, e = exp_parts(min(f32(2.0) * abs(x), f32(20.0)))
    scale = power_of_2(k)
    e = scale * e + (scale - f32(1.0))
    return math.copysign(e / (e + f32(2.0)), x)


def expm1_32(x):
    """exp(x) - 1 = tanh(x / 2) (exp(x) + 1), sans soustraction dangereuse."""
    return tanh32(f32(0.5) * x) * (exp32(x) + f32(1.0))


def sigmoid32(x):
    """1 / (1 + exp(-x)), sans les dénormaux de l’exponentielle."""
    k, e = exp_parts(min(max(-x, f32(-87.0)), f32(89.0)))
    return f32(1.0) / (f32(1.0) + (e + f32(1.0)) * power_of_2(k))


def softplus32(x):
    """log(1 + exp(x)) = max(x, 0) + log1p(exp(-abs(x)))."""
    return max(x, f32(0.0)) + log1p32(exp32(-abs(x)))


def int_power(x, y):
    """x**y entre entiers, par carrés : déborde comme NumPy ; y négatif donne 1, -1 ou 0."""
    if y < 0:
        return (x if y & 1 else 1) if x in (1, -1) else 0
    result = 1
    while y > 0:
        if y & 1:
            result = result * x
        x = x * x
        y = y >> 1
    return result


def sigmoid64(x):
    """1 / (1 + exp(-x)) en float64 : l’exponentielle d’un nombre négatif ne déborde pas."""
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


def softplus64(x):
    """log(1 + exp(x)) en float64."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
