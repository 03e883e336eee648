"""Convolutions and transposed convolutions."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, onnx_pads
from cnndsl.ir.algebra import embed_table, flip, pad
from cnndsl.ir.operators.convolution import Conv
from cnndsl.ir.operators.transposed import ConvTranspose


def _conv(site: Site, op: Conv) -> None:
    """Conv is a cross-correlation; tables become zeros in a dense kernel."""
    weight = site.params["weight"]
    if op.table is not None:
        weight = embed_table(weight, op.table, site.input_type.channels)
    if op.flip:
        weight = flip(weight, range(2, len(weight.shape)))
    bias = [site.parameter("bias")] if op.bias else []
    site.emit(
        "Conv",
        site.input,
        site.expression("weight", weight),
        *bias,
        kernel_shape=op.kernel,
        strides=op.stride,
        pads=onnx_pads(op.pads),
        dilations=op.dilation,
        group=op.groups,
    )


def _conv_transpose(site: Site, op: ConvTranspose) -> None:
    """ConvTranspose crops by its pads, as ours does.

    onnxruntime refuses an output padding that is not below the stride. There the kernel gets one
    more element, zero, which adds `dilation` positions, and the surplus is cropped.
    """
    taps, crop, output_pad = [], [], []
    axes = zip(op.pads, op.stride, op.dilation, op.output_pad, strict=True)
    for (before, after), stride, dilation, extra in axes:
        grows = extra >= stride
        taps.append((0, int(grows)))
        crop.append((before, after + dilation - extra if grows else after))
        output_pad.append(0 if grows else extra)
    weight = pad(site.params["weight"], [(0, 0), (0, 0), *taps])
    bias = [site.parameter("bias")] if op.bias else []
    site.emit(
        "ConvTranspose",
        site.input,
        site.expression("weight", weight),
        *bias,
        kernel_shape=weight.shape[2:],
        strides=op.stride,
        pads=onnx_pads(tuple(crop)),
        output_padding=output_pad,
        dilations=op.dilation,
        group=op.groups,
    )


LOWERINGS: Lowerings = {Conv: _conv, ConvTranspose: _conv_transpose}
