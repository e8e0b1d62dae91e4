"""Dériver : les noms de `theano.gradient`, réunis."""

from engine.core.gradient import Lop, Rop, grad
from engine.look.testing import verify_grad
from engine.loops.derivatives import hessian, jacobian
from engine.ops.gradient_views import disconnected_grad, grad_clip, grad_scale, zero_grad
