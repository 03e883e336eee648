"""Convolutions and transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.importers.onnx.builder import Weight
from cnndsl.importers.onnx.layout import natural
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
    groups = site.whole("group", 1)
    filters = given.array.shape[0]
    x = site.value(0)
    vector = site.builder.vector(x)
    if vector and set(kernel) == {1} and groups == 1 and not _pads(pad):
        flat = Weight(given.array.reshape(filters, -1), given.origin)
        layer = FullyConnected(filters, bias="bias" in weights)
        node = site.add(layer, vector, weights={**weights, "weight": flat})
        return site.result(node).moved((*natural(node.type.shape), *((),) * rank))
    node, pad = without_pad(site, x, pad, is_zeros)
    strides, dilations = site.sizes("strides", rank), site.sizes("dilations", rank)
    op = Conv(filters, kernel, strides, pad, dilations, max(groups, 1), "bias" in weights)
    return site.result(site.add(op, node, weights=weights))


def _pads(pad: Padding) -> bool:
    return not isinstance(pad, str) and any(map(any, pad))


def conv_transpose(site: Site) -> Value:
    """`conv_transpose`."""
    given = weight(site, 1)
    kernel = _kernel(site, given)
    rank = len(kernel)
    strides, dilations = site.sizes("strides", rank), site.sizes("dilations", rank)
    output_pad = tuple(site.sizes("output_padding", rank, 0, least=0))
    groups = site.whole("group", 1)
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
        given.array.shape[1] * max(groups, 1),
        *(kernel, strides, pad, output_pad, dilations, max(groups, 1)),
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
