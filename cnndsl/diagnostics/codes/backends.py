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
    "E0704": Entry(
        "ONNX opset",
        "A model is stamped with the oldest operator set that has all its operators, from 11 on.\n"
        "`--opset` asks for a newer one, up to the newest that the installed onnx knows.",
    ),
    "E0705": Entry(
        "onnx not installed",
        "Making, running and reading ONNX models needs onnx and onnxruntime, which\n"
        "`pip install 'cnndsl[onnx]'` brings. `--target reference` and `cpu` do without.",
    ),
    "E0710": Entry(
        "unknown number type",
        "The reference backend computes in float32 or float64, the others in float32. All take\n"
        "networks of float32 tensors alone.",
    ),
    "E0711": Entry(
        "out of memory",
        "A tensor, or the weights in all their forms, do not fit into memory. Use a smaller batch\n"
        "or input, or fewer filters.",
    ),
    "E0720": Entry(
        "unknown CPU",
        "The CPU to compile for is `native`, or a name that LLVM knows, such as `x86-64-v3`.",
    ),
    "E0721": Entry(
        "native compiler missing or failed",
        "A native module is made by TVM, which `pip install 'cnndsl[tvm]'` brings, and by the C\n"
        "compiler `cc`. To run modules neither is needed.",
    ),
    "E0723": Entry(
        "CPU lacks features",
        "The module was compiled for a CPU with more instructions than this one has. Compile it "
        "here, or for a common subset such as `x86-64-v3`.",
    ),
    "E0724": Entry(
        "cannot time code for another CPU",
        "Variants of kernels are timed on this machine, and it lacks instructions of the CPU to\n"
        "compile for. Without `--tune` cost models choose, for any CPU.",
    ),
    "E0725": Entry(
        "cannot load native code",
        "The system's loader refused the code of a module: it is for another kind of machine, or\n"
        "the folder of temporary files, which TMPDIR names, is full or lets no file be executed.",
    ),
    "E0726": Entry(
        "no code for this kind of machine",
        "A target triple is an architecture, a system and a C library: `aarch64-linux-gnu`,\n"
        "`arm-linux-gnueabihf`, `riscv64-linux-gnu`, `x86_64-linux-gnu` or `arm64-apple-macos`.\n"
        "WebAssembly has a target of its own, `--target wasm`.",
    ),
    "E0727": Entry(
        "AMX is not permitted",
        "The module multiplies on the tiles of Intel's AMX, whose use a process has to ask the\n"
        "operating system for. Linux gives the permission from version 5.16 on; a sandbox, or\n"
        "threads with small stacks for signals, may be in the way. Compile for a CPU without AMX,\n"
        "such as `--mcpu icelake-server`: the codes of int8 are the same.",
    ),
    "E0740": Entry(
        "unknown GPU or precision",
        "The GPU to compile for is an architecture by nvcc's name, such as `sm_90`; the precision\n"
        "is `f32`, `tf32` or `f16`.",
    ),
    "E0741": Entry(
        "CUDA compiler missing or failed",
        "Code for a GPU is made by nvcc and ptxas of the CUDA toolkit; neither a GPU nor a driver\n"
        "is needed for it.",
    ),
    "E0742": Entry(
        "no GPU to run on",
        "A CUDA module runs on an NVIDIA GPU with its driver, which brings `libcuda.so.1`.",
    ),
    "E0743": Entry(
        "made for another GPU",
        "Code for one generation of GPUs does not run on another one: compile the module again\n"
        "with the `--arch` of this GPU.",
    ),
    "E0744": Entry(
        "GPU memory",
        "The weights, the arena and the inputs and outputs of a module do not fit into the GPU's\n"
        "memory. Compile it with a smaller `--batch`.",
    ),
    "E0745": Entry(
        "CUDA call failed",
        "The driver refused a call; the message has its name and its reason.",
    ),
    "E0750": Entry(
        "PyTorch missing",
        "Modules of the target `torch` run, and networks are trained, by PyTorch, which\n"
        "`pip install 'cnndsl[torch]'` brings. To write a module it is not needed.",
    ),
    "E0751": Entry(
        "name that PyTorch takes",
        "A PyTorch module says by `training` whether it trains, so no part of it can be called\n"
        "that. Give the layer, block or label another name.",
    ),
    "E0760": Entry(
        "no data to train with",
        "Data are `digits`, which need scikit-learn, an .npz file with `images` and `labels`,\n"
        "or a folder with a folder of images for each class.",
    ),
    "E0761": Entry("no GPU for PyTorch", "PyTorch finds no GPU, or was installed without CUDA."),
    "E0762": Entry(
        "checkpoint of another training",
        "`--resume` goes on with the same network, data, recipe and seed.",
    ),
    "E0763": Entry(
        "training diverges",
        "The loss is no finite number any more. Lower the learning rate, clip the gradients, or\n"
        "let the rate grow at the start by `--warmup`.",
    ),
}
