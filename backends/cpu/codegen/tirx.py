"""TVM's module `tirx`, imported when the first code is written.

The import takes longer than a whole compilation whose kernels are all in the cache.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """What TVM's module has under the name, which is found here from then on."""
    from tvm import tirx

    found = globals()[name] = getattr(tirx, name)
    return found
