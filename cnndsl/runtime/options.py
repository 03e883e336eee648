"""What a user may ask of a backend: one field for each option of the command line and the API.

A backend declares its own options as a subclass of `CompileOptions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar, Self, SupportsIndex

from cnndsl.diagnostics import CnnError

if TYPE_CHECKING:
    from cnndsl.ir.graph import Graph

Progress = Callable[[str, int, int], None]
"""Is told what is done, how far it is, and how far it will go."""

VARIANTS = 8
"""Variants of a kernel that are timed if no number is given."""

PRECISION = "The format of numbers: bf16, f16, int8, …; see docs/precision.md."
"""The help of the option `precision`."""

AXES = ("batch", "depth", "height", "width", "length")
"""What users call the axes of inputs whose size may stay open."""


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def option(
    default: Any, text: str | None = None, *, choices: tuple[str, ...] = (), least: int = 0
) -> Any:
    """A field that users may set; with a help text it is an option of the command line.

    `choices` are the words that it takes: for a flag those that turn it on and off, or none if its
    name alone turns it on; for a tuple
    those of which it takes several. A number is `least` or more.
    """
    return field(default=default, metadata={"help": text, "choices": choices, "least": least})


@dataclass(frozen=True)
class CompileOptions:
    """What every backend has, if only to ignore it.

    `batch`: fixed batch size, or None for any. `logits`: outputs are the scores before a last
    softmax, log_softmax or sigmoid. `threads`: None leaves it to the runtime.
    `metadata` goes into the artefact. `progress` is told of slow work. `source`: the inference
    graph before the passes of the target, for artefacts that keep it; None stands for the graph
    that is compiled.

    Backends that compute in other formats than float32 have the option `precision`. `in_graph` are
    those precisions for which tensor types tell the format (see docs/precision.md); `refused` tells
    of others why there is no such precision.

    Raises CnnError: E0615 for values of another type, and numbers out of range, E0901 for a
    precision that there is not.
    """

    in_graph: ClassVar[frozenset[str]] = frozenset()
    refused: ClassVar[Mapping[str, str]] = {}

    batch: int | None = option(None, "Fix the batch size.", least=1)
    threads: int | None = option(None, least=1)
    logits: bool = option(False, "Give scores: leave a last softmax or sigmoid out.")
    metadata: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = option(silent)
    source: Graph | None = None

    @classmethod
    def of(cls, asked: CompileOptions) -> Self:
        """The same as options of this class, with defaults for what they lack."""
        if isinstance(asked, cls):
            return asked
        return cls(**{item.name: getattr(asked, item.name) for item in fields(CompileOptions)})

    @property
    def changed(self) -> list[str]:
        """What the artefact depends on, other than the defaults: `batch=2`, `winograd=off`."""
        return [
            f"{item.name}={_written(item, getattr(self, item.name))}"
            for item in user_fields(type(self))
            if item.name not in ("threads", "progress") and getattr(self, item.name) != item.default
        ]

    def _no_precision(self, value: str, choices: Iterable[str]) -> CnnError:
        known = ", ".join(name for name in choices if name not in self.refused)
        reason = f": {self.refused[value]}" if value in self.refused else " for this target"
        return CnnError.of(
            "E0901", f"unknown precision {value!r}{reason}", hint=f"there is {known}"
        )

    def __post_init__(self) -> None:
        for item in user_fields(type(self)):
            value, choices = getattr(self, item.name), item.metadata["choices"]
            if item.default is None or type(item.default) is int:
                value = whole_number(item.name, value, item.metadata["least"])
                object.__setattr__(self, item.name, value)
            elif isinstance(item.default, bool) and not isinstance(value, bool):
                raise wrong(item.name, "True or False", value)
            elif isinstance(item.default, str) and not isinstance(value, str):
                raise wrong(item.name, "a text", value)
            elif item.name == "precision" and value not in set(choices) - set(self.refused):
                raise self._no_precision(value, choices)
            elif isinstance(item.default, tuple):
                if isinstance(value, str) or not isinstance(value, Iterable):
                    raise wrong(item.name, f"a list of {', '.join(choices)}", value)
                object.__setattr__(self, item.name, tuple(value))
                for name in value:
                    if name not in choices:
                        raise wrong(item.name, f"a list of {', '.join(choices)}", name)


@dataclass(frozen=True)
class SizedOptions(CompileOptions):
    """Those of backends that take graphs whose sizes are not all known.

    `dynamic` names the axes of the inputs that stay open although the text gives their size. The
    batch is open unless `batch` fixes it. With `static` nothing is open: a batch is one sample
    unless `batch` says more, and networks of open sizes are refused.
    """

    dynamic: tuple[str, ...] = option(
        (), "Axes that keep open sizes, such as height,width.", choices=AXES
    )

    static: bool = option(False, "Leave nothing open: one sample, unless --batch says more.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.static and self.dynamic:
            raise CnnError.of("E0615", f"{', '.join(self.dynamic)} cannot be dynamic and static")
        if self.static and self.batch is None:
            object.__setattr__(self, "batch", 1)
        if self.batch is not None and "batch" in self.dynamic:
            raise CnnError.of("E0615", f"the batch is {self.batch}, and it is dynamic")


def whole_number(name: str, value: Any, least: int) -> int | None:
    """The value of an option as an int; None stays None. Raises CnnError (E0615)."""
    if value is None:
        return None
    is_whole = isinstance(value, SupportsIndex) and not isinstance(value, bool)
    if not is_whole or index(value) < least:
        raise wrong(name, f"a whole number from {least} on", value)
    return index(value)


def _written(item: Field[Any], value: Any) -> str:
    """The value of an option as the command line takes it."""
    if isinstance(value, bool):
        words = item.metadata["choices"] or ("true", "false")
        return str(words[not value])
    return ",".join(value) if isinstance(value, tuple) else str(value)


def wrong(name: str, wanted: str, value: Any) -> CnnError:
    """The error for a value that an option does not take."""
    return CnnError.of("E0615", f"{name} is {wanted}, not {value!r}")


def user_fields(options: type[CompileOptions]) -> list[Field[Any]]:
    """The fields that callers of the Python API may give."""
    return [item for item in fields(options) if item.metadata]
