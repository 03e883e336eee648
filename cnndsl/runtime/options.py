"""What a user may ask of a backend: one field for each option of the command line and the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex

from cnndsl.diagnostics import CnnError

if TYPE_CHECKING:
    from cnndsl.ir.graph import Graph

Progress = Callable[[str, int, int], None]
"""Is told what is done, how far it is, and how far it will go."""


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def _option(default: Any, text: str, *, choices: tuple[str, ...] = ()) -> Any:
    """A field that is an option of `cnndsl compile`.

    `choices` are the words that it takes; for a flag those that turn it on and off.
    """
    return field(default=default, metadata={"help": text, "choices": choices})


VARIANTS = 8
"""Variants of a kernel that are timed if no number is given."""
COMMON = frozenset({"batch", "threads", "metadata", "progress", "source"})
"""Options that any backend has, if only to ignore them."""


@dataclass(frozen=True)
class CompileOptions:
    """What a user may ask of backends; `Backend.options` names those that not all have.

    `batch`: fixed batch size, or None for any. `threads`: None leaves it to the runtime.
    `dtype`: float32 or float64 (the reference backend only). `metadata` goes into the artefact.
    `mcpu`: the CPU to make code for, by LLVM's name. `winograd`: whether convolutions may be
    computed with fewer products, less exactly. `arch`: the GPU to make code for, by nvcc's name.
    `precision`: what a GPU stores and multiplies, f32, tf32 or f16. `graph`: whether a GPU is
    given all launches of a call at once. `tune`: how many variants of each kernel are timed on this
    machine at most, 0 leaves the choice to cost models. `opset`: the ONNX operator set to stamp,
    None for the oldest that will do. `progress` is told of slow work. `source`: the inference graph
    before the passes of the target, for artefacts that keep it; None stands for the graph that is
    compiled.

    Raises CnnError (E0615) for values of another type, and numbers out of range.
    """

    batch: int | None = _option(None, "Fix the batch size.")
    threads: int | None = None
    dtype: str = "float32"
    metadata: Mapping[str, str] = field(default_factory=dict)
    mcpu: str = _option("native", "The CPU to make code for (cpu).")
    winograd: bool = _option(
        True,
        "Winograd convolutions, faster and a little less exact (cpu).",
        choices=("auto", "off"),
    )
    arch: str = _option("sm_90", "The GPU to make code for (cuda).")
    precision: str = _option(
        "f32", "Numbers and products on a GPU (cuda).", choices=("f32", "tf32", "f16")
    )
    graph: bool = _option(
        True, "All launches of a call as one CUDA graph (cuda).", choices=("on", "off")
    )
    tune: int = _option(0, "Variants of each kernel to time at most; the fastest is taken.")
    opset: int | None = _option(None, "ONNX opset; by default the oldest that will do (onnx).")
    progress: Progress = silent
    source: Graph | None = None

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("threads", 1), ("tune", 0), ("opset", 11)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        if self.tune == 1:
            raise _wrong("tune", "0 or a whole number from 2 on", 1)
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(item.default, bool) and not isinstance(value, bool):
                raise _wrong(item.name, "True or False", value)
            if isinstance(item.default, str) and not isinstance(value, str):
                raise _wrong(item.name, "a text", value)


def whole_number(name: str, value: Any, least: int) -> int | None:
    """The value of an option as an int; None stays None. Raises CnnError (E0615)."""
    if value is None:
        return None
    is_whole = isinstance(value, SupportsIndex) and not isinstance(value, bool)
    if not is_whole or index(value) < least:
        raise _wrong(name, f"a whole number from {least} on", value)
    return index(value)


def _wrong(name: str, wanted: str, value: Any) -> CnnError:
    return CnnError.of("E0615", f"{name} is {wanted}, not {value!r}")


def api_options() -> list[str]:
    """The names of the fields that callers of the Python API may give."""
    return [item.name for item in fields(CompileOptions) if item.name not in ("metadata", "source")]


def user_options() -> list[Field[Any]]:
    """The fields that are options of `cnndsl compile`."""
    return [item for item in fields(CompileOptions) if "help" in item.metadata]
