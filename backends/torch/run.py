"""Texts to PyTorch modules, and their results."""

from __future__ import annotations

import importlib.util
import linecache
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.module import Array

if TYPE_CHECKING:
    from torch import nn


def require_torch() -> Any:
    """PyTorch. Raises CnnError (E0750) if it is not installed."""
    if importlib.util.find_spec("torch") is None:
        hint = "pip install 'cnndsl[torch]'"
        raise CnnError.of("E0750", "PyTorch is not installed", hint=hint)
    import torch

    return torch


def network_of(source: str, name: str, dtype: str = "float32") -> nn.Module:
    """The network of a text, the last class in it, with PyTorch's starting weights."""
    torch = require_torch()
    names: dict[str, Any] = {"__name__": name}
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), names)
    last = [v for v in names.values() if isinstance(v, type) and v.__module__ == name][-1]
    with default_dtype(getattr(torch, dtype)):
        made: nn.Module = last()
    return made


@contextmanager
def default_dtype(dtype: Any) -> Iterator[None]:
    """Let new tensors have a dtype."""
    torch = require_torch()
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def load_weights(network: nn.Module, arrays: Mapping[str, Array]) -> None:
    """Put arrays into a network, by the names of its state dict; all but batch counters."""
    torch = require_torch()
    state = {n: torch.from_numpy(np.array(a, copy=True)) for n, a in arrays.items()}
    missing, unexpected = network.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"it lacks {missing}, and has {unexpected}")


def results_of(
    network: nn.Module, names: Sequence[str], arrays: Sequence[Array], threads: int | None
) -> dict[str, Array]:
    """The outputs by name, at inference."""
    torch = require_torch()
    if threads:
        torch.set_num_threads(threads)
    network.eval()
    with torch.inference_mode():
        found = network(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
    by_name = found if isinstance(found, dict) else {names[0]: found}
    return {name: value.detach().numpy() for name, value in by_name.items()}
