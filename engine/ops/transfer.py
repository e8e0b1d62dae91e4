"""Où une fonction rend un résultat : sur l’hôte, ou sur la carte qui l’a calculé.

`y.transfer("cuda")` ne calcule rien. Sortie d’une fonction que calcule un GPU, elle y reste : la
fonction rend un `DeviceArray`, qu’une autre peut recevoir sans passer par l’hôte. Ailleurs dans un
graphe, elle ne change rien.
"""

from engine.core.errors import ModeError
from engine.core.graph import Apply, Op
from engine.core.settings import FLAGS
from engine.core.types import add_methods, as_tensor_variable


class Transfer(Op):
    """La même valeur, à rendre sur `target`.

    `lent` : le tableau rendu est celui où l’appel suivant écrira (`Out(..., borrow=True)`) ; sinon
    une copie, sur la carte.
    """

    __props__ = ("target", "lent")
    view_map = {0: [0]}
    host_only = "ne calcule rien : dit où rendre un résultat"
    tested_by = "le GPU seul en tient compte : tests/gpu/test_transfer"

    def __init__(self, target, lent=False):
        if target not in FLAGS["device"].choices:
            raise ModeError(
                "transfer : destination inconnue",
                expected="'cpu', 'cuda', 'cuda1'…",
                received=repr(target),
            )
        self.target, self.lent = target, lent

    def make_node(self, x):
        x = as_tensor_variable(x)
        return Apply(self, [x], [x.type(name=x.name)])

    def perform(self, node, inputs, output_storage):
        if self.target != "cpu":
            raise ModeError(
                f"ce résultat devait rester sur {self.target}, et la fonction se calcule sur "
                "le processeur",
                expected=f"une fonction compilée sous config.device = '{self.target}'",
                hint="ôtez transfer, ou réglez config.device avant d'appeler function",
            )
        output_storage[0][0] = inputs[0]

    def infer_shape(self, node, input_shapes):
        return input_shapes

    def infer_dims(self, node):
        return [node.inputs[0].dims]

    def L_op(self, inputs, outputs, output_grads):
        return output_grads

    def borrowed(self, variable):
        """La même sortie, prêtée."""
        return Transfer(self.target, lent=True)(variable.owner.inputs[0])

    def __str__(self):
        return f"transfer{{{self.target}}}"


def transfer(x, target):
    """x, à rendre sur `target` : « cpu », « cuda », « cuda1 »…

    Sortie d’une fonction compilée sous `config.device = "cuda"`, le résultat est un tableau de la
    carte : il s’additionne, se multiplie, se donne à une autre fonction ; `to_host()` le rapporte.

    Paramètres
        x : une variable.
        target : où rendre sa valeur ; « cpu », l’hôte.

    Lève
        ModeError : la destination est inconnue ; à l’appel, la fonction n’est pas calculée là.

    Exemple
        >>> import numpy as np
        >>> from engine import config, function, tensor as T
        >>> with config.change_flags(device="cuda", floatX="float32"):
        ...     x = T.vector("x")
        ...     double = function([x], (2 * x).transfer("cuda"))
        >>> y = double(np.float32([1, 2]))
        >>> y, (y + 1).sum().to_host()
        (<tableau du périphérique : float32 (2,)>, array(8., dtype=float32))
    """
    return Transfer(target)(x)


add_methods(transfer=transfer)
