"""Bounds that stop absurd inputs with a clear error; far above any network in the literature."""

from __future__ import annotations

FILE_BYTES = 250_000
"""Size of one source file."""

FILES_BESIDE = 500
"""Files of a folder that are searched for a network."""

NESTING = 64
"""Depth of brackets in the text, of one expression, and of blocks inside blocks."""

RECURSION = 32
"""Depth of a block inside itself."""

FRAMES = 5_000
"""Calls of Python inside one another while a network is built: enough for all blocks nested."""

SYNTAX_ERRORS = 50
"""Syntax errors shown for one file."""

HINTS = 200
"""Findings of one file for whose names others that are spelt so are looked for."""

RECOVERY = 5_000_000
"""Characters read again in search of further syntax errors."""

LOOP_COUNT = 10_000
"""Iterations of one loop, and items of one list with all lists in it."""

STEPS = 200_000
"""Statements, expressions and list items evaluated for one network."""

NODES = 25_000
"""Nodes of one network (ResNet-1202 has about 9,000)."""

MAGNITUDE = 2**63
"""Absolute value of a number that is calculated, and of a whole one that is written."""

DIGITS = 40
"""Characters of a number that is written."""

EXPONENT = 1024
"""Absolute value of the exponent of a power."""
