"""E073: measuring and comparing runtimes."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry

ENTRIES: dict[str, Entry] = {
    "E0730": Entry(
        "unknown runtime",
        "`cnndsl bench --against` takes other runtimes: `onnxruntime`, `openvino`, `torch`.",
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
}
