"""The reference backend: plain numpy, the oracle of every other backend."""

from cnndsl.backends.numpy.backend import BACKEND
from cnndsl.backends.numpy.run import run_graph

__all__ = ["BACKEND", "run_graph"]
