"""Le cœur du moteur : variables, dérivation, réécriture, compilation, par NumPy seul.

    >>> from engine.core import TensorType, exp, function, grad, sin
    >>> x = TensorType("float64")("x")
    >>> f = function([x], grad(exp(sin(x**2)), x))
    >>> round(float(f(0.5)), 6)
    1.240883

Il se lit en un week-end, dans cet ordre : chaque fichier n’a besoin que de ceux d’avant.

1. Ce que l’on dit : `typeset`, `errors`, `settings`, `dtypes`, `trace` (où un nœud est né).
2. Le graphe : `graph` (variables, nœuds, ops), `types` (les tableaux symboliques), `scalars` (la
   table des fonctions), `elemwise` (la même, terme à terme ; les opérateurs).
3. Dériver : `dead_gradients`, `gradient`.
4. Ce qui dure : `turns` (à qui d’écrire), `registry` (ce qui se charge au besoin), `sharedvalue`,
   `exact_types`.
5. Compiler : `fgraph`, `contract`, `rewriting` (les règles et leur point fixe), `emission` (le
   programme, un nœud par ligne), `linking`, `modes`, `request` (ce que l’on demande), `compiler`.

Importe : rien, que NumPy. Ce que le reste du moteur y ajoute se déclare : `add_methods`, `declare`,
`rewrite`, `kernel`, `linker`, `mask_through`, `provide`.

On y vient le plus souvent changer une fonction scalaire (`scalars`), un réglage (`settings`), ce
qu’un programme émis contient (`emission`).
"""

from engine.core.compiler import Function, function
from engine.core.elemwise import ELEMENTWISE, Elemwise, cast
from engine.core.gradient import Lop, Rop, grad
from engine.core.graph import Apply, Constant, Op, Type, Variable
from engine.core.modes import Mode
from engine.core.request import In, Out
from engine.core.sharedvalue import SharedVariable, shared
from engine.core.types import TensorType, as_tensor_variable, constant

globals().update(ELEMENTWISE)
