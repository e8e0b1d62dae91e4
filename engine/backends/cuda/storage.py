"""Les variables partagées du périphérique : leur valeur y reste d’un appel à l’autre."""

from engine.backends.cuda.arrays import DeviceArray, upload
from engine.backends.cuda.faults import check


class DeviceStorage:
    """La case d’une variable partagée, en mémoire du périphérique ; voir `sharedvalue.Storage`.

    Exemple
        >>> import numpy as np
        >>> case = DeviceStorage(np.ones(2, "float32"))
        >>> case.data, case.get(borrow=False)
        (<tableau du périphérique : float32 (2,)>, array([1., 1.], dtype=float32))
    """

    __slots__ = ("data",)
    on_device = True

    def __init__(self, data):
        self.set(data, borrow=False)

    def get(self, borrow):
        """La valeur, rapportée sur l’hôte."""
        value = self.data.to_host()
        check()
        return value

    def set(self, value, borrow):
        """Porte `value` sur le périphérique."""
        self.data = value if isinstance(value, DeviceArray) else upload(value)
