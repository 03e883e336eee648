"""What the name of a network refers to: a path, a network of the zoo, or a text itself."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from cnndsl.diagnostics import CnnError, Source
from cnndsl.diagnostics.spelling import alike, did_you_mean
from cnndsl.language import limits
from cnndsl.language.loader import concrete_networks
from cnndsl.language.sources import is_file, is_text, networks_in, read_source, zoo


def locate(spec: str) -> tuple[Source, str | None]:
    """The source that a network's name refers to, and the network in it if one is named.

    A spec is a path, `path:network`, the name of a zoo network, or source text (recognised by a
    brace). A path `folder/NAME.cnn` that does not exist means the network NAME of another file
    in that folder. Raises CnnError.
    """
    if is_text(spec):
        return Source("<text>", spec), None
    path, _, name = spec.partition(":") if ".cnn:" in spec else (spec, "", "")
    if is_file(Path(path)):
        return read_source(Path(path)), name or None
    if not path.endswith(".cnn") and "/" not in path and path in zoo():
        return read_source(zoo()[path]), path
    what = "file" if path.endswith(".cnn") or "/" in path else "network or file"
    if what == "file" and _is_there(path):
        return read_source(Path(path)), name or None
    for sibling in _beside(path) if path.endswith(".cnn") and not name else ():
        if Path(path).stem in networks_in(sibling):
            return read_source(sibling), Path(path).stem
    raise CnnError.of("E0601", f"no {what} {path!r}", hint=_nearest(path, name), file=path)


def _is_there(path: str) -> bool:
    """Whether a path names something, or what one may not look at."""
    try:
        os.lstat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _nearest(path: str, name: str) -> str | None:
    """A hint with files and networks called nearly so; of the zoo's, those that can be built."""
    same_file = _concrete(n for n, file in zoo().items() if file.name == Path(path).name)
    if name in same_file:
        return f"did you mean {name!r}?"
    if same_file:
        shown = ", ".join(same_file[:8]) + (", …" if len(same_file) > 8 else "")
        return f"{Path(path).name} of the zoo holds {shown}: name one without the file"
    if _concrete([Path(path).stem]):
        return f"did you mean {Path(path).stem!r}, of the zoo?"
    return did_you_mean(path, [*_concrete(alike(path, zoo())), *map(str, _beside(path))])


def _concrete(names: Iterable[str]) -> list[str]:
    """Those of the zoo's networks that can be built; only their files are read."""
    return list(concrete_networks({name: zoo()[name] for name in names if name in zoo()}))


def _beside(path: str) -> list[Path]:
    """The first `.cnn` files in the folder of a path."""
    return sorted(islice(Path(path).parent.glob("*.cnn"), limits.FILES_BESIDE))
