"""Le GPU s’il y en a un, sinon un simulateur : les noyaux ne voient pas la différence.

    from engine.gpu.kernels.device import cuda, launch, place

`cuda` est ce qu’un noyau appelle (`cuda.grid`, `cuda.syncthreads`…). Ce fichier décide, une fois, à
l’import : avec un GPU, et numba-cuda pour lui parler, les noyaux y sont compilés ; sinon
`simulator` exécute chaque fil en Python.

Ce que les noyaux s’interdisent pour valoir partout : les échanges entre fils d’un *warp*, une
barrière hors du noyau lui-même, les constantes flottantes nues (`1.0` serait calculé en double sur
le GPU : `ONE = np.float32(1)`).
"""

import ctypes
import functools
import importlib.util
import os
import sys
import types

from engine.core.typeset import typeset
from engine.gpu.kernels import simulator
from engine.gpu.kernels.geometry import geometry


def count_gpus():
    """Renvoie le nombre de GPU que le pilote annonce : 0 s’il n’y a pas de pilote."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value


GPUS = count_gpus()
ON_GPU = GPUS > 0 and importlib.util.find_spec("numba_cuda") is not None
if ON_GPU:
    # un GPU presque vide n’est pas une faute : les exemples du cours sont petits
    os.environ.setdefault("NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS", "0")
    from numba import cuda
else:
    cuda = simulator.cuda


def place():
    """Dit en français où s’exécutent les noyaux, et pourquoi."""
    if not ON_GPU:
        why = "numba-cuda n'est pas installé" if GPUS else "aucun GPU n'a été trouvé"
        return typeset(f"simulateur : {why}")
    name = cuda.get_current_device().name
    return typeset(f"GPU : {name.decode() if isinstance(name, bytes) else name}")


def specialised(kernel, **constants):
    """Renvoie le même noyau, avec d’autres constantes : `specialised(tiled_product, TILE=16)`.

    Une constante du module est figée à la compilation : la taille d’un tableau en mémoire partagée
    doit l’être.

    Exemple
        >>> from engine.gpu.kernels.readable.products import tiled_product
        >>> specialised(tiled_product, TILE=16).py_func.__globals__["TILE"]
        16
    """
    function = kernel.py_func
    space = {**function.__globals__, **constants}
    renamed = types.FunctionType(function.__code__, space, function.__name__)
    return cuda.jit(functools.update_wrapper(renamed, function))


def launch(kernel, shape, block, *arguments):
    """Lance un noyau sur de quoi couvrir `shape` ; ses tableaux sont modifiés sur place.

    Paramètres
        kernel : une fonction décorée par `@cuda.jit`.
        shape, block : la forme à couvrir et le bloc, voir `geometry`.
        arguments : tableaux NumPy et nombres. Sur un GPU, les tableaux y sont copiés, puis en
            reviennent.

    Exemple
        >>> import numpy as np
        >>> from engine.gpu.kernels.readable.maps import relu
        >>> out = np.full(3, np.nan, "float32")
        >>> launch(relu, 3, 4, out, np.array([-1, 0, 2], "float32"))
        >>> out
        array([0., 0., 2.], dtype=float32)
    """
    grid, threads = geometry(shape, block)
    if not ON_GPU:
        kernel[grid, threads](*arguments)
        return
    moved = _on_device(arguments)
    kernel[grid, threads](*moved)
    for array, copy in zip(arguments, moved, strict=True):
        if copy is not array:
            copy.copy_to_host(array)


def seconds_on_gpu(kernel, shape, block, *arguments, times=10):
    """Renvoie la durée d’un lancement sur le GPU, copies non comprises ; None sans GPU.

    Un premier lancement compile ; la durée est la moyenne des `times` suivants.
    """
    if not ON_GPU:
        return None
    grid, threads = geometry(shape, block)
    moved = _on_device(arguments)
    kernel[grid, threads](*moved)
    start, end = cuda.event(), cuda.event()
    start.record()
    for _ in range(times):
        kernel[grid, threads](*moved)
    end.record()
    end.synchronize()
    return cuda.event_elapsed_time(start, end) / 1000 / times


def _on_device(arguments):
    """Les tableaux copiés sur le GPU, les nombres tels quels."""
    return [cuda.to_device(a) if getattr(a, "shape", ()) else a for a in arguments]
