"""Convolutions and transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnndsl.importers.onnx.builder import Weight
from cnndsl.importers.onnx.layout import (
    BATCH_FACTOR,
    Factor,
    Layout,
    natural,
    normal,
    size_of,
)
from cnndsl.importers.onnx.operators.common import Read, is_zeros, padding, weight, without_pad
from cnndsl.importers.onnx.refusal import damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Value
from cnndsl.ir.attributes import Padding, Sizes
from cnndsl.ir.operators import Conv, ConvTranspose, FullyConnected
from cnndsl.ir.windows import Pads, extent


def _kernel(site: Site, given: Weight) -> Sizes:
    """The sizes of a kernel [filters, channels, *kernel]."""
    rank = given.array.ndim - 2
    if not 1 <= rank <= 3:
        raise unsupported(f"its weight has {given.array.ndim} axes")
    kernel = given.array.shape[2:]
    if tuple(site.integers("kernel_shape", rank) or kernel) != kernel or not all(kernel):
        raise damaged("its kernel_shape is not that of its weight")
    return kernel


def _groups(site: Site) -> int:
    groups = site.whole("group", 1)
    if groups < 1:
        raise damaged(f"its group is {groups}")
    return groups


def _weights(site: Site, given: Weight) -> dict[str, Weight]:
    bias = {"bias": weight(site, 2)} if site.has(2) else {}
    return {"weight": given, **bias}


def conv(site: Site) -> Value:
    """`conv`; of a map of one position, `fc`."""
    given = weight(site, 1)
    kernel = _kernel(site, given)
    rank = len(kernel)
    pad = padding(site, rank)
    weights = _weights(site, given)
    groups = _groups(site)
    filters = given.array.shape[0]
    x = site.value(0)
    vector = site.builder.vector(x)
    if vector and set(kernel) == {1} and groups == 1 and not _pads(pad):
        flat = replace(given, array=given.array.reshape(filters, -1))
        layer = FullyConnected(filters, bias="bias" in weights)
        node = site.add(layer, vector, weights={**weights, "weight": flat})
        return site.result(node).moved((*natural(node.type.shape), *((),) * rank))
    strides, dilations = site.sizes("strides", rank), site.sizes("dilations", rank)
    if (phases := _phases(x, rank)) and not _pads(pad) and {*strides, *dilations} == {1}:
        node, pad = without_pad(site, site.result(site.element(x)), pad, is_zeros)
        op = Conv(filters, kernel, strides, pad, phases, groups, "bias" in weights)
        made = site.add(op, node, weights=weights)
        return site.result(made).moved(_by_phase(natural(made.type.shape), phases))
    node, pad = without_pad(site, x, pad, is_zeros)
    op = Conv(filters, kernel, strides, pad, dilations, groups, "bias" in weights)
    return site.result(site.add(op, node, weights=weights))


def _phases(x: Value, rank: int) -> Sizes:
    """The phases of positions that are samples of their own, as before a dilated convolution.

    TensorFlow moves every d-th position into a sample of its own (SpaceToBatch), so that a plain
    convolution of these is one of dilation d of the map. () if the value is not laid out so.
    """
    *inner, batch = x.layout[0] or (None,)
    sizes = [factor.size for factor in inner if factor]
    if batch != BATCH_FACTOR or len(sizes) != rank or len(x.layout) != rank + 2:
        return ()
    whole = [n * d if isinstance(n, int) else 0 for n, d in zip(x.shape[2:], sizes, strict=True)]
    found = tuple(size for size in sizes if isinstance(size, int))
    plain = natural((x.shape[1], *whole))
    return found if len(found) == rank and x.layout == _by_phase(plain, found) else ()


def _by_phase(plain: Layout, phases: Sizes) -> Layout:
    """A map with every so manieth position of each axis as a sample of its own."""
    batch, channels, *axes = plain
    fast = tuple(Factor(i, n) for i, n in enumerate(phases, 1) if n > 1)
    slow = []
    for i, (axis, n) in enumerate(zip(axes, phases, strict=True), 1):
        size = size_of(axis)
        assert isinstance(size, int)
        slow.append(normal([Factor(i, size // n, n)]))
    return ((*fast, *batch), channels, *slow)


def _pads(pad: Padding) -> bool:
    return not isinstance(pad, str) and any(map(any, pad))


def conv_transpose(site: Site) -> Value:
    """`conv_transpose`."""
    given = weight(site, 1)
    kernel = _kernel(site, given)
    rank = len(kernel)
    strides, dilations = site.sizes("strides", rank), site.sizes("dilations", rank)
    output_pad = tuple(site.sizes("output_padding", rank, 0, least=0))
    groups = _groups(site)
    node = site.plain(site.value(0))
    wanted = site.integers("output_shape", None)
    mode = site.text("auto_pad", "NOTSET")
    pad = padding(site, rank)
    if wanted is not None or mode.startswith("SAME"):
        sizes = node.type.spatial
        if wanted is None:
            wanted = [n * s for n, s in zip(sizes, strides, strict=True) if isinstance(n, int)]
        wanted = wanted[-rank:]
        totals = [
            (n - 1) * s + o + extent(k, r) - w
            for n, s, o, k, r, w in zip(
                sizes, strides, output_pad, kernel, dilations, wanted, strict=False
            )
            if isinstance(n, int)
        ]
        if len(totals) < rank:
            raise unsupported("its padding depends on an open size")
        pad, output_pad = _cropping(totals, output_pad, upper=mode == "SAME_UPPER")
    op = ConvTranspose(
        given.array.shape[1] * groups,
        *(kernel, strides, pad, output_pad, dilations, groups),
        bias=site.has(2),
    )
    return site.result(site.add(op, node, weights=_weights(site, given)))


def _cropping(totals: Sequence[int], output_pad: Sizes, *, upper: bool) -> tuple[Pads, Sizes]:
    """Padding that crops as much as given in all; what is negative is added at the end."""
    halves = [(max(total, 0) // 2, max(total, 0) - max(total, 0) // 2) for total in totals]
    pads = tuple((a, b) if upper else (b, a) for a, b in halves)
    more = [o + max(-total, 0) for o, total in zip(output_pad, totals, strict=True)]
    return pads, tuple(more)


OPERATORS: dict[str, Read] = {"Conv": conv, "ConvTranspose": conv_transpose}
