"""Appeler un op par sa référence NumPy, `perform`."""


def perform_call(node):
    """La fonction des tableaux qui calcule un nœud par `perform` : la référence."""
    perform, n_outputs = node.op.perform, len(node.outputs)

    def call(*inputs):
        storage = [[None] for _ in range(n_outputs)]
        perform(node, inputs, storage)
        return storage[0][0] if n_outputs == 1 else [cell[0] for cell in storage]

    return call
