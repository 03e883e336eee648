"""Checkpoints: all that goes on with training needs."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.arrays import read_arrays
from cnndsl.runtime.files import atomic_write
from cnndsl.runtime.module import Array

SUFFIX = ".checkpoint"

FACTS = "facts"
"""The array of an archive that holds facts as JSON."""

OTHERWISE = "go on with the engine that wrote it, or train without --resume"
"""What to do about a file that is no checkpoint of this engine."""


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and numbers, atomically."""
    import torch

    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def read_checkpoint(path: Path, expected: Mapping[str, Any]) -> dict[str, Any]:
    """What was written. Raises CnnError: E0601, E0603, and E0762 if it is of another training.

    `expected` is what has to be in it.
    """
    import torch

    try:
        _require_whole(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError("it holds something else")
    except OSError as error:
        raise CnnError.of("E0601", f"cannot read {path}: {error.strerror or error}") from None
    except (
        RuntimeError,
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{path} is not a checkpoint of PyTorch, or damaged: {problem}"
        raise CnnError.of("E0603", message, hint=OTHERWISE) from None
    require_same(path, state, expected)
    return state


def _require_whole(path: Path) -> None:
    """Compare the checksums of an archive, which PyTorch does not do.

    Raises OSError, and ValueError or BadZipFile for a damaged archive.
    """
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged:
        raise ValueError(f"the checksum of {damaged} is another one")


def require_same(path: Path, state: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise CnnError (E0762) if a checkpoint is of another training."""
    for name, value in expected.items():
        if state.get(name) != value:
            hint = "train with the same network, data and recipe, or without --resume"
            message = f"{path} is the checkpoint of another training: it has another {name}"
            raise CnnError.of("E0762", message, hint=hint)


def write_arrays(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write facts that JSON has and arrays as an archive of numpy, atomically."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    named: dict[str, Any] = {FACTS: text, **arrays}
    np.savez(buffer, **named)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def read_written(
    path: Path, expected: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """What `write_arrays` wrote. Raises CnnError as `read_checkpoint`, and for no such file."""
    try:
        arrays = {str(name): array for name, array in read_arrays(path).items()}
        facts = json.loads(arrays.pop(FACTS).tobytes())
    except (KeyError, ValueError, CnnError) as error:
        if isinstance(error, CnnError) and error.diagnostics[0].code != "E0608":
            raise
        message = f"{path} is not a checkpoint of the native engine, or damaged"
        raise CnnError.of("E0603", message, hint=OTHERWISE) from None
    require_same(path, facts, expected)
    return facts, arrays
