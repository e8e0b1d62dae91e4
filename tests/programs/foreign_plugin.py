"""Le greffon de `foreign` : `import theano` trouve ce moteur ; Python, NumPy, h5py et PyYAML
répondent comme en 2016 ; l’autre dos de calcul de Keras est celui-ci.
"""

import collections
import collections.abc
import importlib
import inspect
import os
import sys
import types

import numpy as np
import pytest

from engine.compat import install
from engine.compat.running import NUMPY_NAMES


def old_python():
    """Les noms que Python a ôtés depuis."""
    for name in ("Iterable", "Mapping", "Sequence"):
        setattr(collections, name, getattr(collections.abc, name))
    answer = collections.namedtuple("ArgSpec", "args varargs keywords defaults")
    inspect.getargspec = lambda function: answer(*inspect.getfullargspec(function)[:4])
    versions = types.ModuleType("pkg_resources")
    versions.parse_version = importlib.import_module("packaging.version").parse
    sys.modules["pkg_resources"] = versions


def old_packages():
    """Ce que rendaient PyYAML sans `Loader`, et h5py pour un texte."""
    yaml, h5py = importlib.import_module("yaml"), importlib.import_module("h5py")
    load, read = yaml.load, h5py.AttributeManager.__getitem__
    yaml.load = lambda stream, Loader=yaml.UnsafeLoader: load(stream, Loader)

    def as_bytes(value):
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, np.ndarray) and value.dtype == object:
            return [as_bytes(item) for item in value]
        return value

    h5py.AttributeManager.__getitem__ = lambda self, name: as_bytes(read(self, name))


def without_tensorflow():
    """Met ce moteur à la place de TensorFlow, qui ne retourne pas les filtres."""
    backend = importlib.import_module("keras.backend")
    ours = importlib.import_module("keras.backend.theano_backend")
    twin = types.ModuleType("keras.backend.tensorflow_backend")
    vars(twin).update(vars(ours))

    def flipped(convolution, ndim):
        def call(x, kernel, *args, dim_ordering="default", **options):
            order = backend.image_dim_ordering() if dim_ordering == "default" else dim_ordering
            back = (slice(None, None, -1),) * ndim
            kernel = kernel[(slice(None), slice(None), *back) if order == "th" else back]
            return convolution(x, kernel, *args, dim_ordering=order, **options)

        return call

    twin.conv2d, twin.conv3d = flipped(ours.conv2d, 2), flipped(ours.conv3d, 3)
    sys.modules[twin.__name__] = backend.tensorflow_backend = twin


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests():
    """Avant que la suite étrangère n’importe quoi que ce soit."""
    for name in NUMPY_NAMES.keys() - vars(np).keys():
        setattr(np, name, NUMPY_NAMES[name])
    install()
    if os.environ.get("FOREIGN") == "keras":
        old_python()
        old_packages()
        without_tensorflow()
