"""W02: what is probably a mistake."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry, body, entry, with_block

ENTRIES: dict[str, Entry] = {
    "W0201": entry(
        "name never used",
        "A parameter, kept value or layer is declared and never read. A name that starts\n"
        "with an underscore says that this is meant.",
        with_block("block unit(width, stride=1) { conv(width, 3) }", "unit(8)"),
        with_block("block unit(width, stride=1) { conv(width, 3, stride=stride) }", "unit(8)"),
    ),
    "W0202": entry(
        "value never used",
        "Nothing reads the value, and it is not an output: a branch without effect.",
        body("let side = conv(8, 3)", "if false { side }", "conv(8, 1)"),
        body("let side = conv(8, 3)", "add { side | conv(8, 1) }"),
    ),
    "W0203": entry(
        "import never used",
        "The name is imported, and nothing in the file uses it.",
        'import fire from "squeezenet.cnn"\n' + body("conv(8, 3)"),
        'import fire from "squeezenet.cnn"\n' + body("fire(16, 64)"),
    ),
    "W0204": Entry(
        "unexpected weights",
        "The weight file holds names that the network does not have; they were left out.\n"
        "The notes list them.",
    ),
    "W0205": Entry(
        "weights from the seed",
        "The weight file lacks parameters, which were initialised from `--seed`. The notes\n"
        "list them.",
    ),
    "W0206": Entry(
        "gridding",
        "The dilation rates of stacked convolutions have a common divisor or leave gaps, so\n"
        "outputs see only a grid of the input's positions. Hybrid rates such as 1, 2, 5 see\n"
        "them all (Wang et al. 2018, Understanding convolution for semantic segmentation).",
    ),
    "W0207": Entry(
        "several state dicts in one checkpoint",
        "A training run may keep averaged weights beside the last ones. The message tells which\n"
        "were taken; save the others alone to use them.",
    ),
    "W0208": Entry(
        "an edit makes the network larger",
        "The layers in the place of a convolution have more parameters or multiply-adds than it\n"
        "has. Low rank R saves weights where R * (channels*h + filters*w) is less than\n"
        "filters*channels*h*w; a stack in the place of a strided convolution sees every position.",
    ),
    "W0209": entry(
        "value hidden, not changed",
        "A `let` in a loop declares a name of its own, which ends with the round. One of the\n"
        "same name from outside stays as it is: every round starts with it again, and behind\n"
        "the loop it has its old value. Without `let`, the outer one gets the new value.",
        body(
            "let total = conv(8, 1)",
            "for k in [1, 3] { let total = add { total | conv(8, k) } -> relu }",
            "total",
        ),
        body(
            "let total = conv(8, 1)",
            "for k in [1, 3] { total = add { total | conv(8, k) } -> relu }",
            "total",
        ),
    ),
    "W0210": entry(
        "a recipe does not suit its network",
        "What a recipe names, layers by their paths and outputs, is in the network, and photos\n"
        "are scaled to cover the input. Nothing but training cares.",
        "network example {\n    input image [3, 32, 32]\n    stem: conv(8, 3)\n}\n"
        'recipe example { gaussian(0.01, at="head") }',
        "network example {\n    input image [3, 32, 32]\n    stem: conv(8, 3)\n}\n"
        'recipe example { gaussian(0.01, at="stem") }',
    ),
}
