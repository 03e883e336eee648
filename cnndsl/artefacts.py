"""Compiled files, known by their endings. Nothing here parses or optimises."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from cnndsl.diagnostics import CnnError
from cnndsl.language.sources import is_text

if TYPE_CHECKING:
    from cnndsl.runtime.backend import Backend
    from cnndsl.runtime.module import Module
    from cnndsl.runtime.signature import Keys


def load(
    path: str | PathLike[str], threads: int | None = None, *, trust: Keys | None = None
) -> Module:
    """A module from an artefact that `Module.save` wrote.

    An artefact is code. With `trust`, files of public keys, or keys that CNNDSL_TRUST names, only
    what one of them signed is opened, and CNNDSL_REQUIRE_SIGNATURE=1 opens nothing without keys.
    Raises CnnError, E0640 for what is not trusted.
    """
    from cnndsl.runtime import signature
    from cnndsl.runtime.backend import backends
    from cnndsl.runtime.files import check_regular
    from cnndsl.runtime.options import whole_number

    threads = whole_number("threads", threads, 1)
    owner = _owner(path)
    if owner is None:
        endings = dict.fromkeys(found.suffix for found in backends().values())
        hint = f"endings: {', '.join(endings)}"
        raise CnnError.of("E0605", f"{path} is not an artefact by its name", hint=hint)
    check_regular(path)
    trusted = signature.trust(trust)
    return owner.load(Path(path), threads, trusted.read if trusted else None)


def sign(path: str | PathLike[str], key: str | PathLike[str]) -> Path:
    """Sign a file by a private key: write FILE.sig beside it, and return its path.

    Raises CnnError as `cnndsl.runtime.signature.SigningKey` does.
    """
    from cnndsl.runtime.signature import SigningKey

    return SigningKey(key).sign(Path(path))


def is_artefact(spec: str | PathLike[str]) -> bool:
    """Whether something is named like a compiled file rather than like a network."""
    return _owner(spec) is not None


def is_onnx(spec: str | PathLike[str]) -> bool:
    """Whether something is named like an ONNX model, which is an artefact and a network."""
    return not is_text(str(spec)) and Path(spec).suffix == ".onnx"


def _owner(spec: str | PathLike[str]) -> Backend | None:
    """A backend that makes files with the ending of a path; no others are imported."""
    from cnndsl.runtime.backend import each_backend

    suffix = "" if is_text(str(spec)) else Path(spec).suffix
    if suffix.partition(":")[0] in ("", ".cnn"):
        return None
    return next((found for _, found in each_backend() if found.suffix == suffix), None)
