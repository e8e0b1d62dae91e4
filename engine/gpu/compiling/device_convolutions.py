"""Les couches convolutives d’un GPU : moins de mémoire lue et écrite. Deux passes.

La première fait passer le pooling devant l’activation : f croissante et b constant dans la fenêtre,

    max f(x + b) = f(max x + b)

L’activation et sa dérivée ne se calculent alors que sur un élément par fenêtre. La seconde réunit
la convolution, le maximum de chaque carré 2 × 2, le biais et l’activation en un seul noyau, qui
garde pour le gradient le rang de chaque maximum.

Pour la première couche du LeNet des leçons (500 images de 28 × 28, 20 filtres de 5 × 5), la
convolution pèse 23 Mo et la carte poolée 6 Mo : un pas lit et écrit 265 Mo sans ces passes, 161 Mo
avec la première, 40 Mo avec les deux.

Ordre de lecture : `pool_first`, puis `unite_convolutions`.
"""

from engine.core import trace
from engine.core.elemwise import Elemwise, scalar_name
from engine.core.fgraph import OUTPUT
from engine.core.rewriting import graph_rewrite
from engine.core.types import TensorConstant
from engine.gpu.compiling.conv_pool import ConvolutionPool, PoolGivenBack, PoolGivenFilters
from engine.ops.conv import Convolution, ConvolutionGradFilters
from engine.ops.pool import MaxPoolGrad, Pool
from engine.ops.reduce import Reduce
from engine.ops.shape import DimShuffle

INCREASING = ("tanh", "sigmoid", "softplus", "exp")


@graph_rewrite("pooling_avant_activation", "fusion", "f(max x) : une activation par fenêtre")
def pool_first(fgraph, has_kernel):
    """Ne s’applique qu’aux fonctions du GPU : les autres gardent le graphe que montrent les leçons.

    Deux pixels distincts que l’arrondi de f confond changent le rang du maximum ; là, f' est nulle
    ou presque.
    """
    if fgraph.device is None:
        return
    for node in fgraph.toposort():
        if node in fgraph and isinstance(node.op, Pool) and node.op.mode == "max":
            _pool_first(fgraph, node)


def _pool_first(fgraph, node):
    (active,) = node.inputs
    inside, rebuild = _peeled(active, len(node.op.axes))
    if inside is active:
        return
    returns = [
        client
        for client, _ in fgraph.clients[active]
        if client is not OUTPUT and isinstance(client.op, MaxPoolGrad)
    ]
    products = {back: _derivatives(fgraph, back, active) for back in returns}
    if None in products.values():
        return
    with trace.inherit(node.trace):
        pooled = rebuild(node.op.make_node(inside).outputs[0])
    fgraph.replace(node.outputs[0], pooled, "pooling_avant_activation")
    for back, clients in products.items():
        for product, derivative in clients:
            with trace.inherit(product.trace):
                slope = _on(derivative, active, pooled)
                scaled = product.op.make_node(back.inputs[1], slope).outputs[0]
                given = back.op.make_node(inside, scaled).outputs[0]
            if given.dtype != product.outputs[0].dtype:
                return
            fgraph.replace(product.outputs[0], given, "pooling_avant_activation")
            _sum_windows(fgraph, given, scaled, len(node.op.axes))


def _peeled(variable, axes):
    """Ce qu’il y a sous l’activation et le biais, et la fonction qui les remet."""
    steps = []
    node = variable.owner
    if scalar_name(node) in INCREASING and node.inputs[0].dtype == variable.dtype:
        steps.append(lambda v, op=node.op: op.make_node(v).outputs[0])
        variable = node.inputs[0]
        node = variable.owner
    if scalar_name(node) == "add":
        for position, entry in enumerate(node.inputs):
            other = node.inputs[1 - position]
            flat = entry.ndim == variable.ndim and all(entry.type.broadcastable[-axes:])
            if flat and other.type == variable.type:
                steps.append(lambda v, op=node.op, b=entry: op.make_node(v, b).outputs[0])
                variable = other
                break

    def rebuild(pooled):
        for step in reversed(steps):
            pooled = step(pooled)
        return pooled

    return variable, rebuild


def _derivatives(fgraph, back, active):
    """Les produits que forment les clients du gradient d’un maximum : [(nœud, dérivée)] ; None si
    l’un d’eux n’est pas le produit par une fonction de `active`.
    """
    found = []
    for client, position in fgraph.clients[back.outputs[0]]:
        if client is OUTPUT or scalar_name(client) != "mul":
            return None
        derivative = client.inputs[1 - position]
        if _on(derivative, active, active) is None:
            return None
        found.append((client, derivative))
    return found


def _on(expression, old, new):
    """La même fonction terme à terme de `new` que `expression` l’est de `old` ; None si elle dépend
    d’autre chose.
    """
    if expression is old:
        return new
    if isinstance(expression, TensorConstant):
        return expression if all(expression.type.broadcastable) else None
    node = expression.owner
    if node is None or not isinstance(node.op, Elemwise) or len(node.outputs) > 1:
        return None
    entries = [_on(entry, old, new) for entry in node.inputs]
    return None if None in entries else node.op.make_node(*entries).outputs[0]


def _sum_windows(fgraph, given, scaled, axes):
    """Σ de ce qui est rendu = Σ de ce qui est reçu : chaque fenêtre rend à un seul pixel."""
    whole = set(range(given.ndim - axes, given.ndim))
    for client, _ in list(fgraph.clients[given]):
        if client is OUTPUT or not isinstance(client.op, Reduce):
            continue
        if client.op.reduction.name == "sum" and whole <= set(client.op.axes):
            with trace.inherit(client.trace):
                total = client.op.make_node(scaled).outputs[0]
            fgraph.replace(client.outputs[0], total, "pooling_avant_activation")


@graph_rewrite("convolution_et_pooling", "fusion", "la convolution ne s'écrit pas : un noyau")
def unite_convolutions(fgraph, has_kernel):
    """Une convolution de pas 1, le maximum de ses carrés 2 × 2, un biais, une activation."""
    if fgraph.device is None:
        return
    for node in fgraph.toposort():
        if node in fgraph and isinstance(node.op, Pool) and _is_square(node.op):
            _unite(fgraph, node)


def _is_square(op):
    return op.mode == "max" and op.ws == op.stride == (2, 2) and not any(op.pad)


def _unite(fgraph, pool):
    (whole,) = pool.inputs
    convolution = whole.owner
    if convolution is None or not isinstance(convolution.op, Convolution):
        return
    if {*convolution.op.subsample, *convolution.op.filter_dilation} != {1}:
        return
    returns = []
    for client, _ in fgraph.clients[whole]:
        if client is pool:
            continue
        if client is OUTPUT or client.op != pool.op.like(MaxPoolGrad):
            return
        returns.append(client)
    bias, biased = _bias(fgraph, pool.outputs[0])
    if bias is None:
        return
    result, activation = biased, None
    (client, _), *others = fgraph.clients[biased] or [(OUTPUT, 0)]
    if not others and client is not OUTPUT and scalar_name(client) in ("tanh", "sigmoid"):
        result, activation = client.outputs[0], scalar_name(client)
    x, w = convolution.inputs
    op = ConvolutionPool(convolution.op, pool.op, activation)
    with trace.inherit(result.owner.trace):
        node = op.make_node(x, w, bias)
    if {x.dtype, w.dtype, bias.dtype} != {result.dtype} or fgraph.device.host_inputs(node) is None:
        return
    if not result.type.accepts(node.outputs[0].type):
        return
    for back in returns:
        with trace.inherit(back.trace):
            given = PoolGivenBack(convolution.op, pool.op)(node.outputs[1], back.inputs[1], x, w)
        fgraph.replace(back.outputs[0], given, "convolution_et_pooling")
        _unite_gradient(fgraph, given.owner)
    fgraph.replace(result, node.outputs[0], "convolution_et_pooling")


def _unite_gradient(fgraph, back):
    """Le gradient des filtres, seul à lire celui de la convolution (une première couche), lit les
    rangs.
    """
    positions, g, x, _ = back.inputs
    ((client, position), *others) = fgraph.clients[back.outputs[0]] or [(OUTPUT, 0)]
    if others or position != 1 or client is OUTPUT:
        return
    if not isinstance(client.op, ConvolutionGradFilters):
        return
    if client.inputs[0] is not x:
        return
    op = PoolGivenFilters(client.op, back.op.pool)
    with trace.inherit(client.trace):
        node = op.make_node(x, positions, g, *client.inputs[2:])
    if fgraph.device.host_inputs(node) is not None and client.outputs[0].type.accepts(
        node.outputs[0].type
    ):
        fgraph.replace(client.outputs[0], node.outputs[0], "convolution_et_pooling")


def _bias(fgraph, pooled):
    """Le vecteur ajouté à chaque filtre, et la somme, si le maximum ne sert qu’à elle."""
    (client, position), *others = fgraph.clients[pooled]
    if others or client is OUTPUT or scalar_name(client) != "add":
        return None, None
    spread = client.inputs[1 - position].owner
    if spread is None or not isinstance(spread.op, DimShuffle):
        return None, None
    if spread.op.order != ("x", 0, "x", "x") or pooled.ndim != 4:
        return None, None
    return spread.inputs[0], client.outputs[0]
