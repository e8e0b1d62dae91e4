"""Les convolutions par cuDNN, la bibliothèque de NVIDIA, là où elle est installée.

Le cours ne l’installe pas (0,5 Go) ; PyTorch l’apporte. Sans elle, ou pour ce qu’elle refuse, les
convolutions sont des colonnes et un produit (`convolutions`).

Ses trois fonctions se ressemblent : deux tableaux lus, un écrit, dont l’un tient les filtres. À
chacune, le premier de ses algorithmes dont le résultat se répète bit pour bit.

Ordre de lecture : `find`, `Library`, `Call`.

Référence : S. Chetlur et coll., « cuDNN: Efficient Primitives for Deep Learning », 2014.
"""

import ctypes
import functools

from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.blas import LIMIT, opened
from engine.gpu.kernels.calls import DeviceError
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.views import contiguous
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs

_NAMES = ("libcudnn.so.9", "cudnn64_9.dll")
_FOLDERS = {"nvidia": ("cudnn/lib", "cudnn/bin"), "torch": ("lib",)}
_WAYS = {  # le nom de la fonction, et lequel des trois tableaux tient les filtres
    Convolution: ("Forward", 1),
    ConvolutionGradInputs: ("BackwardData", 0),
    ConvolutionGradFilters: ("BackwardFilter", 2),
}
_DTYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 9}
_FLIPPED, _AS_IS = 0, 1  # le filtre, retourné ou non
_BY_CHANNELS = 0  # les filtres sont rangés (sorties, canaux, points)
_BEST, _FMA = 0, 3  # tous les cœurs ; sans TF32
_ALGORITHM = 1  # produit de matrices dont les colonnes ne sont pas écrites
_REFUSED = range(3000, 4000)  # « je ne sais pas faire »
_KEPT = 256  # convolutions dont les descriptions sont gardées


class _RefusedError(DeviceError):
    """cuDNN ne sait pas faire cette convolution."""


@functools.cache
def find(device):
    """La bibliothèque liée au flux de `device`, ou None ; et la raison."""
    return opened(device, "cuDNN", _NAMES, _FOLDERS, Library)


class Library:
    """cuDNN, et la poignée par laquelle tout passe dans le flux de la machine.

    Lève
        DeviceError : cuDNN a refusé.
    """

    def __init__(self, loaded, device):
        self.loaded, self.handle = loaded, ctypes.c_void_p()
        self.do("cudnnCreate", ctypes.byref(self.handle))
        self.do("cudnnSetStream", self.handle, ctypes.c_void_p(device.stream_handle))
        loaded.cudnnGetVersion.restype = ctypes.c_size_t
        number = loaded.cudnnGetVersion()
        self.version = f"{number // 10000}.{number // 100 % 100}"
        self.call = functools.lru_cache(_KEPT)(functools.partial(Call, self))

    def do(self, name, *arguments):
        """Appelle cette fonction ; un refus devient une erreur."""
        status = getattr(self.loaded, name)(*arguments)
        if status:
            kind = _RefusedError if status in _REFUSED else DeviceError
            raise kind(f"cuDNN : {name} a échoué", received=f"statut {status}")

    def convolve(self, op, shape, a, b, tf32=False):
        """Le résultat de `op`, de cette forme, pour ces deux tableaux ; None si cuDNN ne sait pas.

        Paramètres
            tf32 : peut-on arrondir les facteurs float32 à dix bits de mantisse ?
        """
        out = empty(shape, a.dtype)
        arrays = contiguous(a), contiguous(b), out
        if any(x.size == 0 or x.size > LIMIT for x in arrays):
            return None
        try:
            call = self.call(op, out.dtype.name, tf32, *(x.shape for x in arrays))
            machine().call(call, *arrays, empty((call.room,), "uint8"))
        except _RefusedError:
            return None
        return out


class Call:
    """Une des trois fonctions, et ce qu’elle doit savoir : ses formes, ses pas, ses bords.

    Lève
        DeviceError : cuDNN a refusé.
    """

    def __init__(self, library, op, dtype, tf32, *shapes):
        self.library, self.described = library, []
        self.way, filters = _WAYS[type(op)]
        real = ctypes.c_double if dtype == "float64" else ctypes.c_float
        self.one, self.zero = real(1), real(0)
        self.first, self.second, self.result = (
            self._filters(dtype, shape) if k == filters else self._images(dtype, shape)
            for k, shape in enumerate(shapes)
        )
        self.convolution = self._convolution(op, dtype, tf32, shapes[filters][2:])
        room = ctypes.c_size_t()
        library.do(
            f"cudnnGetConvolution{self.way}WorkspaceSize", library.handle, self.first, self.second,
            self.convolution, self.result, _ALGORITHM, ctypes.byref(room),
        )  # fmt: skip
        self.room = room.value

    def __call__(self, a, b, out, room):
        """Ce qui se rejoue : un appel à cuDNN."""
        to = [ctypes.c_void_p(machine().address(x)) for x in (a, b, room, out)]
        self.library.do(
            f"cudnnConvolution{self.way}", self.library.handle, ctypes.byref(self.one),
            self.first, to[0], self.second, to[1], self.convolution, _ALGORITHM,
            to[2], ctypes.c_size_t(self.room), ctypes.byref(self.zero), self.result, to[3],
        )  # fmt: skip

    def _described(self, kind, how, *arguments):
        """Une description de ce genre, remplie ; rendue avec cet appel."""
        made = ctypes.c_void_p()
        self.library.do(f"cudnnCreate{kind}Descriptor", ctypes.byref(made))
        self.described.append((kind, made))
        self.library.do(f"cudnnSet{kind}{how}Descriptor", made, *arguments)
        return made

    def _images(self, dtype, shape):
        steps = [1]
        for length in shape[:0:-1]:
            steps.insert(0, steps[0] * length)
        given = len(shape), _row(shape), _row(steps)
        return self._described("Tensor", "Nd", _DTYPES[dtype], *given)

    def _filters(self, dtype, shape):
        given = _DTYPES[dtype], _BY_CHANNELS, len(shape), _row(shape)
        return self._described("Filter", "Nd", *given)

    def _convolution(self, op, dtype, tf32, kernel):
        borders = [op.padding(k, axis) for axis, k in enumerate(kernel)]
        if any(before != after for before, after in borders):
            raise _RefusedError("cuDNN : les bords d’un axe doivent être égaux")
        sums = _DTYPES["float64" if dtype == "float64" else "float32"]
        rows = [before for before, _ in borders], op.subsample, op.filter_dilation
        flip = _FLIPPED if op.filter_flip else _AS_IS
        made = self._described("Convolution", "Nd", len(kernel), *map(_row, rows), flip, sums)
        exact = dtype == "float32" and not tf32
        self.library.do("cudnnSetConvolutionMathType", made, _FMA if exact else _BEST)
        return made

    def __del__(self):
        for kind, made in self.described:
            getattr(self.library.loaded, f"cudnnDestroy{kind}Descriptor")(made)


def _row(lengths):
    return (ctypes.c_int * len(lengths))(*lengths)
