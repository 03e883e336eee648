"""Where texts come from: paths, the zoo, and what a network's name refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

from cnndsl.diagnostics import CnnError, Source
from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.language import limits

_NETWORK_LINE = re.compile(r"^network[ \t]+([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)


def zoo_folder() -> Path:
    """The folder of the standard networks and blocks."""
    with resources.as_file(resources.files("cnndsl.networks")) as folder:
        return Path(folder)


@cache
def zoo() -> dict[str, Path]:
    """Every network of the zoo, by name, with its file. A file named like its network wins."""
    found: dict[str, Path] = {}
    for path in sorted(zoo_folder().rglob("*.cnn")):
        for name in _NETWORK_LINE.findall(path.read_text("utf-8")):
            if name not in found or path.stem == name:
                found[name] = path
    return found


def locate(spec: str) -> tuple[Source, str | None]:
    """The source that a network's name refers to, and the network in it if one is named.

    A spec is a path, `path:network`, the name of a zoo network, or source text (recognised by a
    brace). A path `folder/NAME.cnn` that does not exist means the network NAME of another file
    in that folder. Raises CnnError.
    """
    if "{" in spec or "\n" in spec:
        return Source("<text>", spec), None
    path, _, name = spec.partition(":") if ".cnn:" in spec else (spec, "", "")
    if Path(path).is_file():
        return read_source(Path(path)), name or None
    if not path.endswith(".cnn") and "/" not in path and path in zoo():
        return read_source(zoo()[path]), path
    for sibling in sorted(Path(path).parent.glob("*.cnn")) if path.endswith(".cnn") else ():
        if not name and Path(path).stem in _NETWORK_LINE.findall(_peek(sibling)):
            return read_source(sibling), Path(path).stem
    what = "file" if path.endswith(".cnn") or "/" in path else "network or file"
    raise CnnError.of("E0601", f"no {what} {path!r}", hint=_nearest(path, name), file=path)


def _nearest(path: str, name: str) -> str | None:
    """A hint with files and networks called nearly so; of the zoo's, those that can be built."""
    from cnndsl.language.loader import concrete_networks

    networks = concrete_networks(zoo())
    same_file = [n for n in networks if zoo()[n].name == Path(path).name]
    if name in same_file:
        return f"did you mean {name!r}?"
    if same_file:
        shown = ", ".join(same_file[:8]) + (", …" if len(same_file) > 8 else "")
        return f"{Path(path).name} of the zoo holds {shown}: name one without the file"
    return did_you_mean(path, [*networks, *(str(p) for p in Path(path).parent.glob("*.cnn"))])


def _peek(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def read_source(path: Path) -> Source:
    """The text of a file. Raises CnnError if it cannot be read, or is too large to be one."""
    try:
        if path.stat().st_size > limits.FILE_BYTES:
            _refuse_artefact(path)
            message = f"{path} is larger than {limits.FILE_BYTES:,} bytes"
            raise CnnError.of("E0505", message, file=str(path))
        return Source(str(path), path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        _refuse_artefact(path)
        raise CnnError.of(
            "E0603",
            f"{path} is not a text in UTF-8 (byte {error.start} is wrong)",
            file=str(path),
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CnnError.of("E0601", f"cannot read {path}: {reason}", file=str(path)) from None


def _refuse_artefact(path: Path) -> None:
    """Raise CnnError if a file that is no text is named like a compiled module."""
    from cnndsl.runtime.backend import backends

    if path.suffix in {backend.suffix for backend in backends().values()}:
        message = f"{path} is a compiled module; this command takes a network"
        raise CnnError.of("E0603", message, file=str(path)) from None


def iter_files(path: Path) -> Iterator[Path]:
    """The `.cnn` files of a folder, deep, in order; a file is itself."""
    yield from sorted(path.rglob("*.cnn")) if path.is_dir() else (path,)
