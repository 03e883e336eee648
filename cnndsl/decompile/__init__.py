"""Graphs back to texts that a person would have written.

No format of graphs keeps blocks, parameters and loops. They are found again in steps:

- `normalise`: what a graph says twice is said once
- `calls`: operators become calls with the arguments that a person would write
- `series`: the graph becomes a chain with joins, a `program`
- `defaults`: arguments that most calls have become defaults of the file
- `shortcuts`: joins that lack a branch in some places become one kind
- `shapes`, `compress`: repetition becomes blocks and loops while that saves words
- `lets`: values that a statement makes are kept by it
- `parameters`: what follows from something else is no parameter
- `names`, `spell`: the program gets names, a syntax tree and its canonical text
- `verify`: the text makes the same graph
- `labels`: where the nodes were in modules of a model, these give labels and names of blocks
"""

from cnndsl.decompile.decompiled import Decompiled, decompile, made_of
from cnndsl.decompile.labels import Modules, labelled

__all__ = ["Decompiled", "Modules", "decompile", "labelled", "made_of"]
