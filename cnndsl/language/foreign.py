"""Names that other frameworks give to what the language has under another name."""

from __future__ import annotations

import re

from cnndsl.diagnostics.spelling import alike
from cnndsl.ir.operators import BY_NAME, Activation

LONG = 8
"""Letters from which a name of another framework is recognised in spite of a mistake."""


def _plain(name: str) -> str:
    """A name without case, underscores, dimensions, and the longer forms of its words."""
    plain = re.sub(r"_|[123]d", "", name.lower())
    plain = plain.replace("pooling", "pool").replace("averagepool", "avgpool")
    plain = plain.replace("convolution", "conv")
    return re.sub(r"normali[sz]ation", "norm", plain)


_OURS = {
    **{_plain(n.split()[-1]): op for op, known in BY_NAME.items() for n in known.foreign},
    # short forms
    "drop": "dropout",
    "hsigmoid": "hard_sigmoid",
    "hswish": "hard_swish",
    # parameters
    "channelsout": "filters",
    "dilationrate": "dilation",
    "dilations": "dilation",
    "elementwiseaffine": "affine",
    "epsilon": "eps",
    "kernelshape": "kernel",
    "kernelsize": "kernel",
    "negativeslope": "slope",
    "numgroups": "groups",
    "outchannels": "filters",
    "outfeatures": "units",
    "outputpadding": "output_pad",
    "padding": "pad",
    "pads": "pad",
    "poolsize": "kernel",
    "scalefactor": "factor",
    "strides": "stride",
    "usebias": "bias",
    # losses
    **dict.fromkeys(
        (
            "crossentropyloss",
            "categoricalcrossentropy",
            "sparsecategoricalcrossentropy",
            "softmaxcrossentropy",
            "softmaxcrossentropywithlogits",
            "softmaxloss",
        ),
        "cross_entropy",
    ),
    **dict.fromkeys(("mseloss", "meansquarederror", "euclideanloss"), "mse"),
}
"""What operators say of themselves, short forms, parameters, by names as `_plain` makes them."""

BLOCKS = {
    **dict.fromkeys(
        (
            "se",
            "seblock",
            "selayer",
            "semodule",
            "squeezeandexcitation",
            "squeezeandexcite",
            "squeezeexcitation",
            "squeezeexcite",
        ),
        ("se", "squeeze_excitation.cnn"),
    ),
    **dict.fromkeys(("basicblock", "residualblock"), ("basic", "resnet.cnn")),
    **dict.fromkeys(("bottleneck", "bottleneckblock"), ("bottleneck", "resnet.cnn")),
    **dict.fromkeys(
        ("invertedresidual", "invertedbottleneck", "mbconv"),
        ("inverted_residual", "inverted_residual.cnn"),
    ),
    **dict.fromkeys(("denselayer", "denseblock"), ("dense_layer", "densenet.cnn")),
    **dict.fromkeys(("fire", "firemodule"), ("fire", "squeezenet.cnn")),
    **dict.fromkeys(("ghost", "ghostmodule"), ("ghost", "ghostnet.cnn")),
    **dict.fromkeys(("inception", "inceptionmodule"), ("inception", "googlenet.cnn")),
    "csp": ("csp", "yolov5.cnn"),
}
"""Blocks of the zoo, and their files, by what the literature and other frameworks call them."""


def _named(*ours: str) -> list[str]:
    """What other frameworks call some of ours."""
    return [name for name, own in _OURS.items() if own in ours]


_ACTIVATIONS = ", ".join(name for name, op in BY_NAME.items() if issubclass(op, Activation))
_REMARKS = {
    **dict.fromkeys(
        ("glu", "hardshrink", "logsigmoid", "softshrink"),
        f"there is nothing like it; activations are {_ACTIVATIONS}",
    ),
    "separableconv": "write depthwise(kernel) -> conv(filters, 1)",
    "pointwiseconv": "write conv(filters, 1)",
    "zeropad": "write pad(1), or as an argument: conv(filters, kernel, pad=1)",
    "zeropadding": "write pad(1), or as an argument: conv(filters, kernel, pad=1)",
    "globalpool": "write global_avgpool or global_maxpool",
    "sequential": "write a chain: conv(filters, kernel) -> relu",
    **dict.fromkeys(
        ("attention", "multiheadattention", "selfattention", "scaleddotproductattention"),
        "write matmul_transposed { keys | queries } -> softmax, and matmul { values | weights }",
    ),
    **dict.fromkeys(
        ("crossentropy", "nllloss", "softmaxcross", *_named("cross_entropy", "mse")),
        "a loss stands in a recipe: recipe NAME { cross_entropy }",
    ),
    **{
        name: f'write import {block} from "{file}", a block of the zoo'
        for name, (block, file) in BLOCKS.items()
    },
}
"""What to write for operators that have no single counterpart."""

_PAD_MODES = {
    **dict.fromkeys(("reflect", "reflection"), "reflect"),
    **dict.fromkeys(("replicate", "replication", "edge"), "edge"),
    **dict.fromkeys(("circular", "wrap"), "wrap"),
}
"""The modes of the operator `pad` by what other frameworks let the padding of a layer be."""


_ARGUMENT_REMARKS = {
    "layer_scale": 'it starts at 1; a recipe starts it elsewhere: fill(1e-6, at="*layer_scale*")',
}
"""What to write for arguments of other frameworks that an operator does not take."""


def counterpart(name: str, candidates: set[str]) -> str | None:
    """The candidate that a name of another framework means, or one that is spelt like it."""
    plain = _plain(name)
    if _OURS.get(plain) in candidates:
        return _OURS[plain]
    same = sorted(known for known in candidates if _plain(known) == plain)
    return same[0] if same else None


def misspelt(name: str, candidates: set[str]) -> tuple[str, float] | None:
    """The name of another framework that a longer name is spelt most like, if it means anything.

    With it the share of letters in common.
    """
    plain = _plain(name)
    scores = alike(plain, {*_OURS, *_REMARKS}) if len(plain) >= LONG else {}
    known = {k: s for k, s in scores.items() if counterpart(k, candidates) or remark(k, candidates)}
    return min(known.items(), key=lambda item: (-item[1], item[0]), default=None)


def remark(name: str, candidates: set[str]) -> str | None:
    """What to write for an operator that has no single counterpart, among operators."""
    return _REMARKS.get(_plain(name)) if "conv" in candidates else None


def value_remark(argument: str, value: object) -> str | None:
    """What to write where a layer is given a value that operators of their own stand for here."""
    mode = _PAD_MODES.get(value) if argument == "pad" and isinstance(value, str) else None
    return mode and f'write pad(kernel // 2, mode="{mode}") before the layer, and there pad=valid'


def argument_remark(operator: str) -> str | None:
    """What to write for an argument that an operator has elsewhere and not here."""
    return _ARGUMENT_REMARKS.get(operator)
