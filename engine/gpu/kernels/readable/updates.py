"""Un pas de descente de gradient, sur place : la mise à jour que `function(updates=…)` demande."""

from engine.gpu.kernels.device import cuda


@cuda.jit
def sgd(parameter, gradient, rate):
    """parameter[i] = parameter[i] − rate · gradient[i]. Le fil i s’occupe de l’élément i."""
    i = cuda.grid(1)
    if i < parameter.size:
        parameter[i] -= rate * gradient[i]
