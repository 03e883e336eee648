"""Operators that act in training; their meaning here is that at inference.

Gradients read nothing: the masks come from their seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute
from cnndsl.ir.formula import Formula, X
from cnndsl.ir.operator import Reads, Sign
from cnndsl.ir.operators.bases import Elementwise, Mover


@dataclass(frozen=True)
class Dropout(Mover, Elementwise):
    """Training: elements are zeroed with probability `rate`, the others grow by 1/(1-rate).

    Inference: y = x. Source: Srivastava et al. (2014).
    """

    name: ClassVar[str] = "dropout"
    foreign = ("PyTorch Dropout", "Keras Dropout")
    formula = X

    rate: float = attribute(kind.PROBABILITY, 0.5)


@dataclass(frozen=True)
class DropPath(Dropout):
    """Training: a sample is zeroed with probability `rate`, the others grow by 1/(1-rate).

    Inference: y = x, unlike stochastic_depth, which does not divide in training; torchvision's
    StochasticDepth with mode="row" is this one. Put at the end of a residual branch. Source:
    Larsson et al. (2017), FractalNet, for the name; in this form it is that of EfficientNet's code
    (Tan and Le 2019) and of later networks.
    """

    name: ClassVar[str] = "drop_path"
    foreign = ("torchvision StochasticDepth", "timm DropPath")
    example = "drop_path(0.1)"

    rate: float = attribute(kind.PROBABILITY)


@dataclass(frozen=True)
class StochasticDepth(Elementwise):
    """Training: zero with probability 1 - `survival`, drawn once for each mini-batch, else y = x.

    With `per_sample` it is drawn for each sample. Inference: y = survival * x. Put at the end of a
    residual branch. Most later networks have drop_path instead, which is the identity at inference.
    Source: Huang et al. (2016), Deep networks with stochastic depth, section 3.
    """

    name: ClassVar[str] = "stochastic_depth"
    example = "stochastic_depth(0.8)"
    sign = Sign.KEPT
    gradient = Reads.NOTHING

    survival: float = attribute(kind.PROBABILITY)
    per_sample: bool = attribute(kind.FLAG, False)

    @property
    def formula(self) -> Formula:
        """The expected value."""
        return X * self.survival
