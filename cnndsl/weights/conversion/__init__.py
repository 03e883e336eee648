"""Weights of other frameworks under the names and in the layouts of a network."""

from cnndsl.weights.conversion.convert import SOURCES, Converted, convert
from cnndsl.weights.conversion.match import UncertainError

__all__ = ["SOURCES", "Converted", "UncertainError", "convert"]
