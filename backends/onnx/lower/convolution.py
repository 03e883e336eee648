"""Convolutions and transposed convolutions."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, onnx_pads, per_channel
from cnndsl.ir.algebra import embed_table, flip
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

    Output padding and cropping behind the map are one number, so they are written with equal
    cropping on both sides where that is possible: OpenCV, ncnn and onnx2torch take no other.
    onnxruntime refuses an output padding that is not below the stride. There less is cropped, and
    zeros are appended for what goes beyond the full result; it has the bias alone.
    """
    pads, output_pad, beyond = [], [], []
    axes = zip(op.pads, op.stride, op.output_pad, strict=True)
    for (before, after), stride, extra in axes:
        if 0 <= extra + before - after < stride:
            extra, after = extra + before - after, before
        within = 0 if extra < stride else min(extra, after)
        pads.append((before, after - within))
        output_pad.append(extra if extra < stride else 0)
        beyond.append(0 if extra < stride else extra - within)
    bias = [site.parameter("bias")] if op.bias and not any(beyond) else []
    operands = [site.input, site.parameter("weight"), *bias]
    attributes = {
        "kernel_shape": op.kernel,
        "strides": op.stride,
        "pads": onnx_pads(tuple(pads)),
        "output_padding": output_pad,
        "dilations": op.dilation,
        "group": op.groups,
    }
    if not any(beyond):
        site.emit("ConvTranspose", *operands, **attributes)
        return
    full = site.step("full", "ConvTranspose", *operands, **attributes)
    counts = site.integers("appended", onnx_pads(((0, 0), (0, 0), *((0, n) for n in beyond))))
    if op.bias:
        whole = site.step("whole", "Pad", full, counts, mode="constant")
        site.emit("Add", whole, per_channel(site, "bias"))
    else:
        site.emit("Pad", full, counts, mode="constant")


LOWERINGS: Lowerings = {Conv: _conv, ConvTranspose: _conv_transpose}
