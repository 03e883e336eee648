"""E073 and E077: measuring and comparing runtimes, evaluating networks."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry

ENTRIES: dict[str, Entry] = {
    "E0730": Entry(
        "unknown runtime",
        "`cnndsl bench --against` takes other runtimes: `mnn`, `ncnn`, `onnxruntime`, `openvino`,\n"
        "`torch`.",
    ),
    "E0731": Entry(
        "runtime not installed",
        "Runtimes to compare with are packages of their own: `pip install openvino`.",
    ),
    "E0732": Entry(
        "measuring failed",
        "Each runtime is measured in a process of its own. It ended early, or the runtime cannot\n"
        "run the network.",
    ),
    "E0733": Entry(
        "layers not known",
        "The target cannot run its layers one by one, or cannot show their values.",
    ),
    "E0734": Entry(
        "network not known",
        "The module does not keep the network that it was made from, so no other runtime can run\n"
        "it.",
    ),
    "E0770": Entry(
        "cannot evaluate with this",
        "`cnndsl evaluate` needs images whose classes are known: in folders by class, or with a\n"
        "file of labels; and models that tell these classes apart. Folders that are not one for\n"
        "each class are named by `--classes FILE`, which has the classes in the order of the\n"
        "outputs. Only networks see whole photos, `--crops dense`, compiled modules do not.",
    ),
    "E0771": Entry(
        "numbers that are not finite",
        "A network gives NaN or infinity for an image, which has no rank among its classes.",
    ),
    "E0772": Entry(
        "a process has ended",
        "One of the processes of `--jobs` was ended from outside, mostly because memory ran out,\n"
        "or the cluster of `--ray` cannot be reached, or has lost its workers too often.",
    ),
    "E0773": Entry(
        "Ray not installed",
        "`cnndsl evaluate --ray` needs Ray: `pip install 'cnndsl[ray]'`.",
    ),
}
