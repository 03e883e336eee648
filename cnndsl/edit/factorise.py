"""What can stand in the place of a convolution: cheaper layers, as source text.

All factorisations keep the size of the result. Only `lowrank` can keep the function too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cnndsl.diagnostics import CnnError, Diagnostic, Span
from cnndsl.ir.attributes import Sizes
from cnndsl.ir.operators import Conv

OWN = {"filters", "kernel", "stride", "pad", "dilation", "groups", "flip", "table", "weight"}
"""Arguments that the new calls set themselves; others, such as bias, are kept as written."""


@dataclass(frozen=True)
class Site:
    """A call of conv in a source: its arguments as written, by name, and the operator it makes.

    `stride` is the text for each axis, as the instances of the call may differ in their stride.
    """

    span: Span
    arguments: Mapping[str, str]
    op: Conv
    stride: tuple[str, ...]

    @property
    def filters(self) -> str:
        """The number of filters as it is written."""
        return self.arguments["filters"]

    def fail(self, message: str, hint: str | None = None) -> CnnError:
        """The error (E0621) that this convolution cannot be replaced so."""
        return CnnError([Diagnostic("E0621", message, self.span, hint)])

    def call(
        self, filters: str, kernel: str, changes: Mapping[str, str | None], *, bias: bool = True
    ) -> str:
        """A call of conv; a change of None leaves an argument out, without `bias` it has none."""
        kept = {name: text for name, text in self.arguments.items() if name not in OWN}
        named = {**changes, **kept}
        if not bias:
            named["bias"] = "false"
        return _call("conv", [filters, kernel], named)


@dataclass(frozen=True)
class Factorisation:
    """`calls` gives the layers for a site; `rank` is set if they approximate trained kernels."""

    calls: Callable[[Site], list[str]]
    rank: int | None = None


def factorisation(text: str) -> Factorisation:
    """What `stack3x3`, `asymmetric`, `separable`, `grouped:G` or `lowrank:R` stands for.

    Raises CnnError (E0620) for any other text.
    """
    plain = {"stack3x3": stack3x3, "asymmetric": asymmetric, "separable": separable}
    if text in plain:
        return Factorisation(plain[text])
    match = re.fullmatch(r"(grouped|lowrank):([1-9][0-9]{0,6})", text)
    if match is None:
        known = ", ".join([*plain, "grouped:G", "lowrank:R"])
        message = f"there is no factorisation {text!r}"
        raise CnnError.of("E0620", message, hint=f"there are: {known}")
    number = int(match[2])
    if match[1] == "grouped":
        return Factorisation(lambda site: grouped(site, number))
    return Factorisation(lambda site: lowrank(site, number), number)


def stack3x3(site: Site) -> list[str]:
    """k x k as n = (k-1)/2 times 3x3, the stride in the last (Simonyan and Zisserman 2015, 2.3).

    Weights: 9n/k^2 of before if there are as many channels as filters.
    """
    op = site.op
    _require_plain(site)
    _require(site, set(op.dilation) == {1}, "is dilated")
    size = op.kernel[0]
    if set(op.kernel) != {size} or size < 5 or size % 2 == 0:
        raise site.fail(f"a kernel of {_sizes(op.kernel)} is no stack of 3x3", "5x5, 7x7, ... are")
    last = (size - 1) // 2 - 1
    axes = range(len(op.kernel))
    first_pad = _pad(site, axes)
    other_pad = _pad(site, axes) if _padding_mode(op) else "valid"
    return [
        site.call(
            site.filters,
            "3",
            {
                "stride": _stride(site, axes) if index == last else None,
                "pad": other_pad if index else first_pad,
            },
        )
        for index in range(last + 1)
    ]


def asymmetric(site: Site) -> list[str]:
    """n x n as 1 x n and n x 1 (Szegedy et al. 2016, section 3.2); weights: 2/n of before."""
    op = site.op
    _require_plain(site)
    if len(op.kernel) != 2 or 1 in op.kernel:
        raise site.fail(f"a kernel of {_sizes(op.kernel)} has no two axes to take apart")
    return [_along(site, [1], site.filters), _along(site, [0], site.filters)]


def separable(site: Site) -> list[str]:
    """Depthwise, then 1x1 (Howard et al. 2017, section 3.1).

    Weights: 1/filters + 1/(kernel positions) of before.
    """
    op = site.op
    _require_plain(site)
    _require(site, set(op.kernel) != {1}, "is 1x1")
    axes, mode = range(len(op.kernel)), _padding_mode(op)
    named = {
        "stride": _stride(site, axes),
        "pad": None if mode == "same" else mode or _numbers(op, axes),
        "dilation": _dilation(op, axes),
        "bias": "false",
    }
    return [_call("depthwise", [_list(op.kernel)], named), site.call(site.filters, "1", {})]


def grouped(site: Site, groups: int) -> list[str]:
    """The same convolution in groups; weights: 1/groups of before."""
    _require_plain(site)
    written = {name: site.arguments.get(name) for name in ("stride", "pad", "dilation")}
    changes = {**written, "groups": str(groups)}
    return [site.call(site.filters, site.arguments["kernel"], changes)]


def lowrank(site: Site, rank: int) -> list[str]:
    """The kernel [filters, channels, h, w] as `rank` vertical and then horizontal ones.

    K[o,i,y,x] = sum_r H[o,r,x] V[r,i,y]; with one axis, or 1x1, a product of two matrices.
    Weights: rank * (channels*h + filters*w). Source: Jaderberg et al. (2014), section 2.1.
    """
    op = site.op
    _require_plain(site)
    _require(site, len(op.kernel) < 3, "has three axes")
    if len(op.kernel) == 1 or set(op.kernel) == {1}:
        first = _along(site, range(len(op.kernel)), str(rank), bias=False)
        return [first, site.call(site.filters, "1", {})]
    return [_along(site, [0], str(rank), bias=False), _along(site, [1], site.filters)]


def _along(site: Site, axes: Sequence[int], filters: str, *, bias: bool = True) -> str:
    """A convolution that does on some axes what the site does, and nothing on the others."""
    op = site.op
    changes = {
        "stride": _stride(site, axes),
        "pad": _pad(site, axes),
        "dilation": _dilation(op, axes),
    }
    return site.call(filters, _list(_only(op.kernel, axes)), changes, bias=bias)


def _require(site: Site, holds: bool, problem: str) -> None:
    if not holds:
        raise site.fail(f"this convolution {problem}")


def _require_plain(site: Site) -> None:
    op = site.op
    _require(site, op.groups == 1, "has groups")
    _require(site, op.table is None, "has a table of connections")
    _require(site, op.weight is None and not op.flip, "has a constant or flipped kernel")


def _padding_mode(op: Conv) -> str | None:
    """same or valid, if the padding is what these words mean for the kernel; None for others."""
    totals = [r * (k - 1) for k, r in zip(op.kernel, op.dilation, strict=True)]
    if op.pads == tuple((total // 2, total - total // 2) for total in totals):
        return "same"
    return None if any(map(any, op.pads)) else "valid"


def _pad(site: Site, axes: Sequence[int]) -> str | None:
    """The padding on some axes. A mode that was not written holds without being written."""
    mode = _padding_mode(site.op)
    if mode is None:
        return _numbers(site.op, axes)
    return mode if "pad" in site.arguments else None


def _numbers(op: Conv, axes: Sequence[int]) -> str:
    pairs = [pair if axis in axes else (0, 0) for axis, pair in enumerate(op.pads)]
    texts = [str(a) if a == b else f"[{a}, {b}]" for a, b in pairs]
    return texts[0] if len(set(texts)) == 1 and pairs[0][0] == pairs[0][1] else _joined(texts)


def _stride(site: Site, axes: Sequence[int]) -> str | None:
    texts = [text if axis in axes else "1" for axis, text in enumerate(site.stride)]
    if len(set(texts)) > 1:
        return _joined(texts)
    return None if texts[0] == "1" else texts[0]


def _dilation(op: Conv, axes: Sequence[int]) -> str | None:
    dilation = _only(op.dilation, axes)
    return None if set(dilation) == {1} else _list(dilation)


def _only(sizes: Sizes, axes: Sequence[int]) -> Sizes:
    """The sizes on some axes, 1 on the others."""
    return tuple(size if axis in axes else 1 for axis, size in enumerate(sizes))


def _list(sizes: Sizes) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else _joined(map(str, sizes))


def _joined(texts: Iterable[str]) -> str:
    return f"[{', '.join(texts)}]"


def _sizes(sizes: Sizes) -> str:
    return "x".join(map(str, sizes))


def _call(name: str, positional: list[str], named: Mapping[str, str | None]) -> str:
    """A call; named arguments that are None are left out."""
    texts = [f"{key}={text}" for key, text in named.items() if text is not None]
    return f"{name}({', '.join(positional + texts)})"
