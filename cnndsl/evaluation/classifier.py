"""Modules that tell classes apart: how photos come in, and probabilities out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.analysis.ranking import form_of
from cnndsl.diagnostics import CnnError
from cnndsl.evaluation.views import Views
from cnndsl.ir.photo import Photo
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Array, Module
from cnndsl.runtime.photos import CHANNELS, chosen, photos_of

BATCH = 32
"""Views that go through a module at a time, at most."""

UNKNOWN = ""

NEARLY = 1e-3
"""How far from 1 the sum of probabilities of a model of unknown origin may be."""


@dataclass
class Classifier:
    """A module with one input, and what is known of its output.

    `kind` is the declared type of the input; `photos`, one for each scale, tell how a photo becomes
    it, none if no photo does. `form` is that of `cnndsl.analysis.ranking.forms`, or empty as
    long as it is not known.
    """

    module: Module
    kind: TensorType
    photos: Sequence[Photo]
    output: str
    form: str
    classes: int
    stated: bool

    @classmethod
    def of(
        cls,
        module: Module,
        views: Views,
        given: Mapping[str, Any],
        output: str | None = None,
        declared: TensorType | None = None,
    ) -> Classifier:
        """The classifier of a module; `given` takes the place of what it says of photos.

        `declared` is the type of one crop, where the module takes other sizes too. Raises CnnError:
        E0604 for a module without such an input and output, E0224 for photos that do not suit it.
        """
        if len(module.inputs) != 1:
            names = ", ".join(port.name for port in module.inputs)
            raise CnnError.of("E0604", f"images are for one input, the network has {names}")
        (port,) = module.inputs
        kind = declared or module.declared_type(port)
        stated = photos_of(module.metadata).get(port.name)
        photos: list[Photo] = []
        if kind.rank == 2 and kind.channels in CHANNELS:
            photos = views.at_scales(chosen(stated, given, kind), kind)
        name, classes = _output(module, output)
        form = form_of(module.metadata, name) or UNKNOWN
        known = stated is not None or bool({"mean", "std"} & given.keys())
        return cls(module, kind, photos, name, form, classes, known)

    @property
    def distribution(self) -> bool:
        """Whether its numbers are probabilities of which one class is right."""
        return self.form != "independent"

    def probabilities(self, views: Array) -> Array:
        """The probabilities of views [views, C, H, W] as [views, classes] float64."""
        port = self.module.inputs[0]
        step = port.batch or BATCH
        parts = []
        for start in range(0, len(views), step):
            part = views[start : start + step]
            missing = port.batch - len(part) if port.batch else 0
            filled = np.concatenate([part, np.repeat(part[-1:], missing, 0)]) if missing else part
            made = self.module.run(self.module.batched(filled)[0])[self.output]
            parts.append(made[: len(part)].reshape(len(part), -1))
        return self._normalised(np.concatenate(parts).astype(np.float64))

    def _normalised(self, numbers: Array) -> Array:
        if self.form == UNKNOWN:
            sums = np.abs(numbers.sum(1) - 1) if numbers.min() >= 0 else np.ones(1)
            self.form = "probabilities" if sums.max() < NEARLY else "scores"
        if self.form in ("probabilities", "independent"):
            return numbers
        if self.form == "logarithms":
            found: Array = np.exp(numbers)
            return found
        scores = -numbers if self.form == "distances" else numbers
        powers = np.exp(scores - scores.max(1, keepdims=True))
        shares: Array = powers / powers.sum(1, keepdims=True)
        return shares


def _output(module: Module, given: str | None) -> tuple[str, int]:
    """The output that tells classes apart, and how many. Raises CnnError E0604."""
    ports = {port.name: port for port in module.outputs}
    if given is None and len(ports) > 1:
        names = ", ".join(ports)
        raise CnnError.of("E0604", f"which output tells the class: {names}?", hint="--output NAME")
    name = given or next(iter(ports))
    if name not in ports:
        raise CnnError.of("E0604", f"no output {name!r}", hint=f"outputs: {', '.join(ports)}")
    kind = ports[name].type
    if any(size != 1 for size in kind.spatial):
        hint = "--crops dense takes the mean over all positions" if kind.rank else None
        raise CnnError.of("E0604", f"output {name!r} is {kind}, no vector of classes", hint=hint)
    return name, kind.channels
