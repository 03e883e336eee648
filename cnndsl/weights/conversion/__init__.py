"""Weights of other frameworks under the names and in the layouts of a network."""

from cnndsl.weights.conversion.convert import SOURCES, convert

__all__ = ["SOURCES", "convert"]
