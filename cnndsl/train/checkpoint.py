"""Checkpoints: all that goes on with training needs."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.files import atomic_write

SUFFIX = ".checkpoint"


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and numbers, atomically."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def read_checkpoint(path: Path, expected: Mapping[str, Any]) -> dict[str, Any]:
    """What was written. Raises CnnError: E0601, E0603, and E0762 if it is of another training.

    `expected` is what has to be in it.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError("it holds something else")
    except OSError as error:
        raise CnnError.of("E0601", f"cannot read {path}: {error.strerror or error}") from None
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CnnError.of("E0603", f"{path} is not a checkpoint, or damaged: {problem}") from None
    for name, value in expected.items():
        if state.get(name) != value:
            hint = "train with the same network, data and recipe, or without --resume"
            message = f"{path} is the checkpoint of another training: it has another {name}"
            raise CnnError.of("E0762", message, hint=hint)
    return state
