"""Graphs back to texts that a person would have written.

No format of graphs keeps blocks, parameters and loops. They are found again in steps:

- `normalise`: what a graph says twice is said once
- `calls`: operators become calls with the arguments that were written
- `series`: the graph becomes a chain with joins
- `names`, `spell`: the program gets names, a syntax tree and its canonical text
- `verify`: the text makes the same graph
"""

from cnndsl.decompile.decompiled import Decompiled, decompile

__all__ = ["Decompiled", "decompile"]
