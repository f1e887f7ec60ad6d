"""How a gradient becomes a direction: a pair of pure functions each, as in optax. The step is the learning rate times the direction.

optimizer    direction                                                          rate where none is given
sgd          g                                                                  0.001
momentum     g + 0.9 v, v <- g + 0.9 v     (Nesterov)                           0.1
adam         m / (sqrt(v) + 1e-8), m and v running means of g and g^2           0.05
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mixtura.moments import Array

MOMENTUM = 0.9  # the customary value: a step lasts for ten
FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8  # beta_1, beta_2 and epsilon as Kingma & Ba propose


class Optimizer(NamedTuple):
    """`init`: what is remembered before the first gradient (P,). `update`: from gradient and memory to direction (P,) and memory.

    `rate` is a learning rate that suits it where nothing is known of the problem.

    >>> import numpy as np
    >>> adam = OPTIMIZERS["adam"]
    >>> direction, memory = adam.update(np.array([4.0, -1e-3, 0.0]), adam.init(np.zeros(3)))
    >>> direction.round(4)  # the first step has the gradient's signs, and length 1 along each coordinate
    array([ 1., -1.,  0.])
    """

    init: Callable[[Array], Any]
    update: Callable[[Array, Any], tuple[Array, Any]]
    rate: float


class Moments(NamedTuple):
    """Adam's running means of gradients and of their squares, and over how many steps they run."""

    first: Array
    second: Array
    steps: int


def _plain(gradient: Array, memory: None) -> tuple[Array, None]:
    return gradient, memory


def _nesterov(gradient: Array, velocity: Array) -> tuple[Array, Array]:
    """Sutskever et al. (2013), "On the importance of initialization and momentum in deep learning", in the coordinates looked ahead to."""
    velocity = gradient + MOMENTUM * velocity
    return gradient + MOMENTUM * velocity, velocity


def _adam(gradient: Array, moments: Moments) -> tuple[Array, Moments]:
    """Kingma & Ba (2015), "Adam: a method for stochastic optimization", algorithm 1: the bias of means that began at zero is divided out."""
    t = moments.steps + 1
    first = FIRST * moments.first + (1 - FIRST) * gradient
    second = SECOND * moments.second + (1 - SECOND) * gradient**2
    direction = first / (1 - FIRST**t) / (np.sqrt(second / (1 - SECOND**t)) + EPSILON)
    return direction, Moments(first, second, t)


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(lambda at: None, _plain, 1e-3),
    "momentum": Optimizer(np.zeros_like, _nesterov, 0.1),
    "adam": Optimizer(lambda at: Moments(np.zeros_like(at), np.zeros_like(at), 0), _adam, 0.05),
}
