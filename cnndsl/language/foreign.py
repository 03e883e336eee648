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
}
"""What operators say of themselves, short forms, parameters, by names as `_plain` makes them."""

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


def misspelt(name: str, candidates: set[str]) -> str | None:
    """The candidate whose name in another framework is spelt most like a longer name, if any is."""
    plain = _plain(name)
    scores = alike(plain, _OURS) if len(plain) >= LONG else {}
    nearest = sorted(scores, key=lambda known: (-scores[known], known))
    return next((_OURS[known] for known in nearest if _OURS[known] in candidates), None)


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
