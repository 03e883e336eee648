"""E07: what a backend cannot do."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry

ENTRIES: dict[str, Entry] = {
    "E0701": Entry(
        "too large for ONNX", "An ONNX file holds at most 2 GiB, and the weights need more."
    ),
    "E0702": Entry(
        "onnxruntime cannot run this",
        "The input is smaller than the windows of the network need, or has another batch\n"
        "size than the model was made for.",
    ),
    "E0703": Entry(
        "name clash in ONNX",
        "An ONNX model cannot give an input the name of an output. Give the output another one.",
    ),
    "E0710": Entry(
        "unknown number type",
        "The reference backend computes in float32 or float64.",
    ),
    "E0711": Entry(
        "out of memory",
        "A tensor does not fit into memory. Use a smaller batch or input.",
    ),
    "E0720": Entry(
        "unknown CPU",
        "The CPU to compile for is `native`, or a name that LLVM knows, such as `x86-64-v3`.",
    ),
    "E0721": Entry(
        "cannot link",
        "A native module is linked by the C compiler `cc`, which is missing or failed.",
    ),
    "E0722": Entry(
        "number type of native code",
        "The cpu backend computes in float32.",
    ),
    "E0723": Entry(
        "CPU lacks features",
        "The module was compiled for a CPU with more instructions than this one has. Compile it "
        "here, or for a common subset such as `x86-64-v3`.",
    ),
}
