"""Normalisations, and softplus, that a model spells out, found before it is read.

Exporters write layer normalisation as a mean, differences, their squares, a root and a division, in
several ways. Where the last of these operators makes exactly that of one tensor, it becomes an
operator of our own; what only it needed is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from cnndsl.importers.onnx.step import OWN, STANDARD, Step, as_written
from cnndsl.importers.onnx.tensors import Array, Tensors

Axes: TypeAlias = tuple[int, ...]

SMALL = 64
"""Numbers of a constant that is looked at."""

LINEAR = 17
"""From here on softplus is its operand in float32: their difference is exp(-x)."""

LEAST = {"Constant": 0, "Div": 2, "Expand": 2, "Gather": 2, "Greater": 2, "Pow": 2, "Sub": 2}
"""Operands that an operator has at least, where that is not one."""


def respelled(steps: Sequence[Step], tensors: Tensors) -> list[Step]:
    """The steps with normalisations as one step each."""
    known = _Known(steps, tensors)
    return [made for step in steps for made in known.respelled(step)]


@dataclass(frozen=True)
class _Moments:
    """A tensor, the axes that are reduced, and the number that keeps from dividing by 0."""

    source: str
    axes: Axes
    eps: float

    def step(self, kind: str, like: Step, output: str, **more: Any) -> Step:
        """The step of our own in the place of another."""
        attributes = {"axes": list(self.axes), "eps": self.eps, **more}
        return replace(
            like,
            kind=kind,
            domain=OWN,
            inputs=(self.source,),
            outputs=(output,),
            attributes=attributes,
        )


class _Known:
    """What the steps of a model make of what."""

    def __init__(self, steps: Sequence[Step], tensors: Tensors):
        self.makers = {name: step for step in steps for name in step.outputs if name}
        self.tensors = tensors

    def respelled(self, step: Step) -> list[Step]:
        """The steps in the place of one: itself, if it ends no normalisation."""
        if step.domain not in STANDARD or len(step.outputs) != 1:
            return [step]
        (output,) = step.outputs
        if found := self._standardised(step) or self._batch(step):
            return [found.step("Standardised", step, output)]
        if found := self._root_mean_square(step):
            return [found.step("RootMeanSquare", step, output)]
        if unit := self._unit(step):
            moments, shape = unit
            return [moments.step("UnitLength", step, output, shape=shape)]
        if source := self._softplus(step):
            return [replace(step, kind="Softplus", inputs=(source,))]
        return self._scaled_and_shifted(step) or self._local_response(step) or [step]

    def _softplus(self, step: Step) -> str:
        """x in: x where it is above a number at which it is softplus(x) too, and else softplus(x).

        PyTorch computes it so (torch.nn.Softplus, threshold).
        """
        if step.kind != "Where" or len(step.inputs) != 3:
            return ""
        condition, source, inner = step.inputs
        above, other = self._made(condition, "Greater"), self._made(inner, "Softplus")
        if above is None or other is None or (above.inputs[0], *other.inputs) != (source, source):
            return ""
        limit = self._number(above.inputs[1])
        return source if limit is not None and limit >= LINEAR else ""

    # Normalisations, by their last step

    def _standardised(self, step: Step) -> _Moments | None:
        """(x - mean) / sqrt(variance + eps)."""
        for above, below in self._quotients(step):
            variance, eps = self._shifted(below)
            moments = self._variance(variance)
            if moments and eps and self._deviation(above) == moments:
                return _Moments(*moments, eps)
        return None

    def _root_mean_square(self, step: Step) -> _Moments | None:
        """x / sqrt(mean square + eps)."""
        for above, below in self._quotients(step):
            mean, eps = self._shifted(below)
            squares, axes = self._mean(mean)
            if axes and eps and self._squared(squares) == above:
                return _Moments(above, axes, eps)
        return None

    def _unit(self, step: Step) -> tuple[_Moments, list[int]] | None:
        """x / max(length of x, eps), and the shape to which the length is repeated, if known."""
        for above, below in self._quotients(step):
            squares, eps = self._at_least(below)
            total = self._sum_of_squares(squares)
            if total and eps and total[0] == above:
                return _Moments(*total, math.sqrt(eps)), []
        if step.kind != "Div" or len(step.inputs) != 2:
            return None
        above, below = step.inputs
        shape: list[int] = []
        if expand := self._made(below, "Expand"):
            below, target = expand.inputs
            whole = self._made(target, "Shape")
            known = self._constant(target)
            if known is not None and known.ndim == 1:
                shape = [int(size) for size in known]
            elif not whole or whole.inputs[0] != above:
                return None
        length, eps = self._at_least(below)
        total = self._length(length)
        return (_Moments(*total, eps), shape) if total and eps and total[0] == above else None

    def _batch(self, step: Step) -> _Moments | None:
        """Batch normalisation by the moments of its own operand: TensorFlow's layer norm."""
        if step.kind != "BatchNormalization" or len(step.inputs) != 5:
            return None
        source, scale, shift, mean, variance = step.inputs
        squeeze = self._made(mean, "Squeeze")
        found = self._mean(squeeze.inputs[0] if squeeze else "")
        if (self._filling(scale), self._filling(shift)) != (1, 0) or found[0] != source:
            return None
        division = self._made(variance, "Div")
        above, below = division.inputs if division else ("", "")
        squares = self._reduced(above, "ReduceSumSquare", stay=False)
        axes = found[1]
        is_variance = squares and squares[1] == axes and self._deviation(squares[0]) == found
        if 1 in axes or not is_variance or not self._counts(below, source, axes):
            return None
        eps = step.attributes.get("epsilon", 1e-5)
        return _Moments(source, axes, eps) if isinstance(eps, float) and eps > 0 else None

    def _scaled_and_shifted(self, step: Step) -> list[Step] | None:
        """x * factor + (shift - mean * factor) with factor = scale / sqrt(variance + eps)."""
        for scaled, rest in self._orders(step, "Add"):
            minus = self._made(rest, "Sub")
            for source, factor in self._orders(self._step(scaled), "Mul"):
                scale, below = self._factor(factor)
                variance, eps = self._shifted(below)
                moments = self._variance(variance)
                if not (minus and eps and moments and moments[0] == source):
                    continue
                shift, product = minus.inputs
                pairs = self._orders(self._step(product), "Mul")
                if any(f == factor and self._mean(m) == moments for m, f in pairs):
                    return self._affine(step, _Moments(*moments, eps), scale, shift)
        return None

    def _local_response(self, step: Step) -> list[Step] | None:
        """x / (bias + alpha * mean)^beta, means of squares along channels: PyTorch's LRN.

        The squares are laid out with an axis of size 1 before the channels, padded, pooled along
        these and laid out as before. Steps that lay out x in the same way tell whether it is so.
        """
        above, below = next(self._orders(step, "Div"), ("", ""))
        power = self._made(below, "Pow")
        total, bias = self._shifted(power.inputs[0]) if power else ("", 0.0)
        beta = self._number(power.inputs[1]) if power else None
        for mean, factor in self._orders(self._step(total), "Mul"):
            alpha = self._number(factor)
            back = self._made(mean, "Reshape")
            size, inner = self._mean_of_column(self._squeezed(back.inputs[0] if back else mean))
            pad = self._zeros(inner) if size else None
            laid = self._step(pad.inputs[0]) if pad else None
            if alpha is None or beta is None or pad is None or laid is None:
                continue
            if laid.kind not in ("Reshape", "Unsqueeze") or self._squared(laid.inputs[0]) != above:
                continue
            there, again = f"{step.outputs[0]}/laid_out", f"{step.outputs[0]}/as_before"
            views = [replace(laid, inputs=(above, *laid.inputs[1:]), outputs=(there,))]
            if back:
                views.append(replace(back, inputs=(there, *back.inputs[1:]), outputs=(again,)))
            made = replace(
                step,
                kind="LocalResponse",
                domain=OWN,
                inputs=(above, there, again if back else "", *pad.inputs[1:2]),
                attributes={"size": size, "alpha": alpha, "beta": beta, "bias": bias},
            )
            if "pads" in pad.attributes:
                made = replace(made, attributes={**made.attributes, "pads": pad.attributes["pads"]})
            return [*views, made]
        return None

    def _mean_of_column(self, name: str) -> tuple[int, str]:
        """The length of windows of a mean along the first axis of positions, and its operand."""
        pool = self._made(name, "AveragePool")
        kernel = pool.attributes.get("kernel_shape") if pool else None
        if pool is None or not isinstance(kernel, list) or kernel[1:] != [1] * len(kernel[1:]):
            return 0, ""
        ones, zeros = [1] * len(kernel), [0] * 2 * len(kernel)
        plain = {"strides": ones, "dilations": ones, "pads": zeros, "auto_pad": "NOTSET"}
        is_plain = all(pool.attributes.get(name, value) == value for name, value in plain.items())
        return (kernel[0], pool.inputs[0]) if kernel and is_plain else (0, "")

    def _zeros(self, name: str) -> Step | None:
        """The step that pads with zeros, if that makes a tensor."""
        pad = self._made(name, "Pad")
        if pad is None or pad.attributes.get("mode", "constant") != "constant":
            return None
        value = pad.inputs[2] if len(pad.inputs) > 2 else ""
        number = self._number(value) if value else pad.attributes.get("value", 0)
        return pad if number == 0 and len(pad.inputs) < 4 else None

    def _squeezed(self, name: str) -> str:
        """What a tensor is without axes of size 1, also where an If looks whether it has any."""
        match self._step(name):
            case Step(kind="Squeeze", inputs=(inner, *_)):
                return inner
            case Step(kind="If", inputs=(_, inner), attributes=bodies):
                steps = [step for body in bodies.values() for step in body.steps]
                if all(step.kind in ("Constant", "Identity", "Squeeze") for step in steps):
                    return inner
        return ""

    @staticmethod
    def _affine(step: Step, moments: _Moments, scale: str, shift: str) -> list[Step]:
        """Standardisation, and a scale, if there is one, and a shift."""
        (output,) = step.outputs
        standard, scaled = f"{output}/standardised", f"{output}/scaled"
        made = [moments.step("Standardised", step, standard)]
        if scale:
            made.append(
                replace(step, kind="Mul", inputs=(standard, scale), outputs=(scaled,), name=scaled)
            )
        return [*made, replace(step, inputs=(scaled if scale else standard, shift))]

    # Parts of them, by the names of tensors

    def _quotients(self, step: Step) -> Iterator[tuple[str, str]]:
        """What a step divides, and what it divides by the root of."""
        for above, below in [*self._orders(step, "Div")][:1]:
            if root := self._root(below):
                yield above, root
        for above, factor in self._orders(step, "Mul"):
            if root := self._inverse_root(factor):
                yield above, root

    def _factor(self, name: str) -> tuple[str, str]:
        """The scale, if any, and what is under the root of scale / sqrt(…)."""
        if root := self._inverse_root(name):
            return "", root
        for factor, scale in self._orders(self._step(name), "Mul"):
            if root := self._inverse_root(factor):
                return scale, root
        return "", ""

    def _root(self, name: str) -> str:
        step = self._made(name, "Sqrt") or self._made(name, "Pow")
        if step is None or (step.kind == "Pow" and self._number(step.inputs[1]) != 0.5):
            return ""
        return step.inputs[0]

    def _inverse_root(self, name: str) -> str:
        match self._step(name):
            case Step(kind="Reciprocal", inputs=(inner,)):
                return self._root(inner)
            case Step(kind="Div", inputs=(one, inner)) if self._number(one) == 1:
                return self._root(inner)
            case Step(kind="Pow", inputs=(inner, power)) if self._number(power) == -0.5:
                return inner
        return ""

    def _shifted(self, name: str) -> tuple[str, float]:
        """What a number above 0 is added to, and the number."""
        for inner, number in self._orders(self._step(name), "Add"):
            value = self._number(number)
            if value is not None and value > 0:
                return inner, value
        return "", 0.0

    def _at_least(self, name: str) -> tuple[str, float]:
        """What is limited from below by a number above 0, and the number."""
        value: float | None = None
        step, inner = self._step(name), ""
        if step and step.kind == "Clip" and step.inputs:
            limits = [self._number(item) if item else None for item in step.inputs[1:3]]
            low = step.attributes.get("min", limits[0] if limits else None)
            high = step.attributes.get("max", limits[1] if len(limits) > 1 else math.inf)
            is_open = isinstance(high, float) and high > 3e38
            value, inner = (low if is_open else None), step.inputs[0]
        for operand, number in self._orders(step, "Max"):
            if (found := self._number(number)) is not None:
                value, inner = found, operand
        return (inner, value) if isinstance(value, float) and value > 0 else ("", 0.0)

    def _deviation(self, name: str) -> tuple[str, Axes]:
        """x and the axes of its mean, in x - mean."""
        step = self._made(name, "Sub")
        if step is None or len(step.inputs) != 2:
            return "", ()
        found = self._mean(step.inputs[1])
        return found if found[0] == step.inputs[0] else ("", ())

    def _variance(self, name: str) -> tuple[str, Axes] | None:
        squares, axes = self._mean(name)
        found = self._deviation(self._squared(squares)) if axes else ("", ())
        return found if found[0] and found[1] == axes else None

    def _squared(self, name: str) -> str:
        match self._step(name):
            case Step(kind="Mul", inputs=(a, b)):
                same = a == b or (self._deviation(a) == self._deviation(b) != ("", ()))
                return a if same else ""
            case Step(kind="Pow", inputs=(a, power)) if self._number(power) == 2:
                return a
        return ""

    def _length(self, name: str) -> tuple[str, Axes] | None:
        """x and the axes of the root of the sum of its squares."""
        return self._reduced(name, "ReduceL2") or self._sum_of_squares(self._root(name))

    def _sum_of_squares(self, name: str) -> tuple[str, Axes] | None:
        if found := self._reduced(name, "ReduceSumSquare"):
            return found
        total = self._reduced(name, "ReduceSum")
        source = self._squared(total[0]) if total else ""
        return (source, total[1]) if total and source else None

    def _mean(self, name: str) -> tuple[str, Axes]:
        return self._reduced(name, "ReduceMean") or ("", ())

    def _reduced(self, name: str, kind: str, *, stay: bool = True) -> tuple[str, Axes] | None:
        """What is reduced over which axes, which have to stay as axes of size 1 or to go."""
        step = self._made(name, kind)
        if step is None or bool(step.attributes.get("keepdims", 1)) != stay:
            return None
        axes = step.attributes.get("axes")
        if axes is None and len(step.inputs) > 1:
            array = self._constant(step.inputs[1])
            axes = None if array is None else [int(axis) for axis in array.ravel()]
        return (step.inputs[0], tuple(axes)) if axes else None

    def _counts(self, name: str, source: str, axes: Axes) -> bool:
        """Whether a tensor is the number of elements of some axes of another."""
        cast = self._made(name, "Cast")
        product = self._made(cast.inputs[0], "ReduceProd") if cast else None
        sizes = self._made(product.inputs[0], "Gather") if product else None
        shape = self._made(sizes.inputs[0], "Shape") if sizes else None
        places = self._constant(sizes.inputs[1]) if sizes else None
        return bool(
            shape
            and shape.inputs == (source,)
            and places is not None
            and tuple(places.ravel()) == axes
        )

    def _filling(self, name: str) -> float | None:
        """The number that a tensor is filled with."""
        expand = self._made(name, "Expand")
        return self._number(expand.inputs[0] if expand else name)

    # Steps and constants

    def _made(self, name: str, kind: str) -> Step | None:
        """The step that makes a tensor, if it is of a kind."""
        step = self._step(name)
        is_it = step and step.kind == kind and len(step.inputs) >= LEAST.get(kind, 1)
        return step if is_it else None

    def _step(self, name: str) -> Step | None:
        """The step of an operator of ONNX that makes a tensor."""
        step = self.makers.get(name)
        return step if step and step.domain in STANDARD else None

    def _orders(self, step: Step | None, kind: str) -> Iterator[tuple[str, str]]:
        """The two operands of a step of a kind, and the other way round."""
        if step and step.kind == kind and len(step.inputs) == 2:
            a, b = step.inputs
            yield a, b
            yield b, a

    def _constant(self, name: str) -> Array | None:
        """A small constant."""
        if name in self.tensors:
            return self.tensors[name] if self.tensors.size(name) <= SMALL else None
        step = self._made(name, "Constant")
        value = step.attributes.get("value", step.attributes.get("value_float")) if step else None
        if isinstance(value, float):
            return np.asarray(value, np.float32)
        return value if isinstance(value, np.ndarray) and value.size <= SMALL else None

    def _number(self, name: str) -> float | None:
        """The one number of a constant."""
        array = self._constant(name)
        if array is None or array.size != 1 or not np.issubdtype(array.dtype, np.number):
            return None
        number = array.ravel()[0]
        return as_written(number) if array.dtype == np.float32 else float(number)
