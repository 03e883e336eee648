"""Optimisers of recipes in numpy: steps of one vector of weights, in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnndsl.recipes import optimisers
from cnndsl.recipes.optimisers import Optimiser
from cnndsl.runtime.module import Array

State = dict[str, Array]
"""What a step leaves for the next one: vectors, zero at first, and the number of steps."""

CLIP_EPS = 1e-6
"""What PyTorch adds to the norm of gradients before it divides by it."""


def momentum(item: optimisers.Sgd, w: Array, g: Array, rate: float, state: State) -> None:
    """v <- momentum v + g + decay w, w <- w - r v."""
    v = _vector(state, "velocity", w)
    _decayed(g, w, item.decay)
    v *= item.momentum
    v += g
    w -= rate * v


def nesterov(item: optimisers.Nesterov, w: Array, g: Array, rate: float, state: State) -> None:
    """v <- momentum v + g + decay w, w <- w - r (g + decay w + momentum v)."""
    v = _vector(state, "velocity", w)
    _decayed(g, w, item.decay)
    v *= item.momentum
    v += g
    g += item.momentum * v
    w -= rate * g


def velocity(item: optimisers.Velocity, w: Array, g: Array, rate: float, state: State) -> None:
    """v <- momentum v - decay r w - r g, w <- w + v."""
    v = _vector(state, "velocity", w)
    v *= item.momentum
    v -= (item.decay * rate) * w
    v -= rate * g
    w += v


def rmsprop(item: optimisers.RmsProp, w: Array, g: Array, rate: float, state: State) -> None:
    """s <- memory s + (1 - memory) g^2, v <- momentum v + g / (sqrt(s) + eps), w <- w - r v."""
    s = _vector(state, "squares", w)
    _decayed(g, w, item.decay)
    s *= item.memory
    s += (1 - item.memory) * g * g
    g /= np.sqrt(s) + item.eps
    if item.momentum:
        v = _vector(state, "velocity", w)
        v *= item.momentum
        v += g
        g = v
    w -= rate * g


def adam(item: optimisers.Adam, w: Array, g: Array, rate: float, state: State) -> None:
    """Means of g and g^2 without their bias; decay is a part of g."""
    _decayed(g, w, item.decay)
    _adam(item, w, g, rate, state)


def adamw(item: optimisers.AdamW, w: Array, g: Array, rate: float, state: State) -> None:
    """Means of g and g^2 without their bias; decay by itself."""
    w *= 1 - rate * item.decay
    _adam(item, w, g, rate, state)


def _adam(
    item: optimisers.Adam | optimisers.AdamW, w: Array, g: Array, rate: float, state: State
) -> None:
    m, s = _vector(state, "means", w), _vector(state, "squares", w)
    count = _vector(state, "steps", np.zeros(1))
    count += 1
    m += (1 - item.beta1) * (g - m)
    s *= item.beta2
    s += (1 - item.beta2) * g * g
    steps = float(count[0])
    size = rate / (1 - item.beta1**steps)
    w -= size * (m / (np.sqrt(s) / math.sqrt(1 - item.beta2**steps) + item.eps))


def _vector(state: State, name: str, like: Array) -> Array:
    return state.setdefault(name, np.zeros_like(like))


def _decayed(g: Array, w: Array, decay: float) -> None:
    if decay:
        g += decay * w


Take = Callable[[Any, Array, Array, float, State], None]

STEPS: dict[type[Optimiser], Take] = {
    optimisers.Sgd: momentum,
    optimisers.Nesterov: nesterov,
    optimisers.Velocity: velocity,
    optimisers.RmsProp: rmsprop,
    optimisers.Adam: adam,
    optimisers.AdamW: adamw,
}


class Descent:
    """The steps of an optimiser. `state` is all that later steps need of those before."""

    def __init__(self, item: Optimiser, clip: float | None):
        self.item, self.clip = item, clip
        self.state: State = {}

    def step(self, weights: Array, gradients: Array, rate: float) -> None:
        """Change weights by gradients, which are lost."""
        if self.clip:
            norm = float(np.sqrt(np.square(gradients, dtype=np.float64).sum()))
            gradients *= min(self.clip / (norm + CLIP_EPS), 1.0)
        STEPS[type(self.item)](self.item, weights, gradients, rate, self.state)
