"""E02: names, arguments, values, and what may stand where."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry, body, entry, with_block

ENTRIES: dict[str, Entry] = {
    "E0201": entry(
        "unknown name",
        "Nothing has this name: no parameter, kept value, block, operator or function that\n"
        "can be seen here. Names are seen from their declaration to the end of the braces\n"
        "around it.",
        body("batchnorm -> relu"),
        body("bn -> relu"),
    ),
    "E0202": entry(
        "declared twice",
        "Two blocks, networks or imports of a file, two parameters of a block, two names\n"
        "between the same braces, or two outputs of a network have the same name.",
        body("let skip = conv(8, 1)", "let skip = conv(8, 3)", "add { skip | conv(8, 5) }"),
        body("let near = conv(8, 1)", "let far = conv(8, 3)", "add { near | far }"),
    ),
    "E0203": entry(
        "instance name taken",
        "A label names one instance, and weights are found by that name, so no two\n"
        "instances inside a block can share it. In a loop, put the counter into the label,\n"
        "or label the loop.",
        body("for width in [8, 16] { stage: conv(width, 3) }"),
        body("for i, width in enumerate([8, 16]) { stage{i}: conv(width, 3) }"),
    ),
    "E0204": entry(
        "argument missing",
        "A parameter without a default was given no value.",
        body("conv(8)"),
        body("conv(8, 3)"),
    ),
    "E0205": entry(
        "no such parameter",
        "The operator, block or network has no parameter of this name, or a value was given\n"
        "by position where only keywords can stand (in `defaults`), or the other way round.",
        body("conv(8, 3, padding=1)"),
        body("conv(8, 3, pad=1)"),
    ),
    "E0206": entry(
        "wrong number of arguments or branches",
        "There are more values than parameters, a parameter is given twice, or a join has\n"
        "fewer than two branches. A loop beside other branches of a join could be one of them\n"
        "or a branch for each round: `{ for … { … } }` is one, `… for x in list` several.",
        body("fc(10, true, 3)"),
        body("fc(10, true)"),
    ),
    "E0207": entry(
        "division by zero",
        "The right side of `/`, `//` or `%` is zero.",
        body("conv(channels // 0, 1)"),
        body("conv(channels // 3, 1)"),
    ),
    "E0208": entry(
        "wrong kind of value",
        "An expression does not work on values of this kind: conditions are true or false\n"
        "(a number is neither), loops take lists, counts are whole numbers, functions take\n"
        "numbers.",
        body("if channels { conv(8, 3) }"),
        body("if channels > 1 { conv(8, 3) }"),
    ),
    "E0209": entry(
        "not a layer",
        "A step of a chain is an operator, a block, a join or a kept value. Numbers,\n"
        "strings and lists are only arguments, and only operators and blocks can be called.",
        body("let width = 8", "width -> relu"),
        body("let width = 8", "conv(width, 3) -> relu"),
    ),
    "E0210": entry(
        "no value yet",
        "An operator, `channels`, `height` and the like need a value at hand, which the\n"
        "input gives. A vector has channels, but no height and width.",
        "network example {\n    conv(8, 3)\n    input image [3, 32, 32]\n    relu\n}",
        body("conv(8, 3)", "relu"),
    ),
    "E0211": entry(
        "input or output inside a block",
        "Inputs, outputs and auxiliary outputs stand in a network; a block takes the value at\n"
        "hand and leaves one, or what `return` at its end names.",
        with_block("block stem { output features = conv(8, 3) }", "stem"),
        with_block("block stem { conv(8, 3) }", "stem", "output features = identity"),
    ),
    "E0212": entry(
        "not a label",
        "A label is made of letters, digits and underscores; what stands in its braces is a\n"
        "whole number or such a text. It names new instances, so a kept value alone cannot have\n"
        "one.",
        body("for x in [0.5] { part{x}: conv(8, 3) }"),
        body("for x in [5] { part{x}: conv(8, 3) }"),
    ),
    "E0213": entry(
        "network without output",
        "A network ends with a value, or names its outputs.",
        "network example { }",
        body("conv(8, 3)"),
    ),
    "E0214": entry(
        "depends on an open size",
        "A size such as `H` in `[3, H, W]` is not known while the network is built, so\n"
        "nothing can be decided by it.",
        "network example {\n    input image [3, H, W]\n    if height > 32 { maxpool(2) }\n}",
        body("if height > 32 { maxpool(2) }", "conv(8, 3)"),
    ),
    "E0215": Entry(
        "which network?",
        "A file was named that holds several networks, none, or not the one asked for. Name\n"
        "one behind a colon: `cnndsl check networks/resnet.cnn:resnet101`. Without a name,\n"
        "the network that is called like the file is taken, or the only one that needs no\n"
        "arguments.",
    ),
    "E0216": entry(
        "circle",
        "Files import one another in a circle, or a network is defined by itself.",
        "network first = second\nnetwork second = first",
        body("conv(8, 3)") + "\nnetwork second = example",
    ),
    "E0217": entry(
        "no such item",
        "The list is shorter. Items are counted from 0; -1 is the last.",
        body("let widths = [8, 16]", "conv(widths[2], 3)"),
        body("let widths = [8, 16]", "conv(widths[1], 3)"),
    ),
    "E0218": entry(
        "import not found",
        "The file is neither beside the importing one nor in the zoo.",
        'import fire from "squeezenets.cnn"\n' + body("fire(16, 64)"),
        'import fire from "squeezenet.cnn"\n' + body("fire(16, 64)"),
    ),
    "E0219": entry(
        "nothing of this name to import",
        "The file exists, but defines no such block or network.",
        'import fires from "squeezenet.cnn"\n' + body("fires(16, 64)"),
        'import fire from "squeezenet.cnn"\n' + body("fire(16, 64)"),
    ),
    "E0220": entry(
        "wrong input shape",
        "An input has one to four sizes: the channels, a whole number, and up to three\n"
        "spatial sizes, whole numbers or names of open sizes. A shape that is given for it\n"
        "from outside (`--input-shape`) has as many sizes as the declared one.",
        "network example {\n    input image [C, 32, 32]\n    conv(8, 3)\n}",
        "network example {\n    input image [3, H, W]\n    conv(8, 3)\n}",
    ),
    "E0221": entry(
        "shared layer on different shapes",
        "A layer that is applied several times has one set of weights, so all values it is\n"
        "applied to need the same shape as far as the weights depend on it.",
        body("layer shared = conv(8, 3)", "shared -> shared"),
        body("layer shared = conv(3, 3)", "shared -> shared"),
    ),
    "E0222": entry(
        "cannot be given another value",
        "`name = …` changes what `let`, a parameter or a loop declared. Inputs, layers, blocks\n"
        "and operators stay what they are.",
        body("layer shared = conv(3, 3)", "shared = conv(3, 1)", "shared"),
        body("let kept = conv(3, 3)", "kept = kept -> relu", "kept"),
    ),
    "E0223": entry(
        "another number of values",
        "`let a, b = …` takes the two items of a list, or what a block with two results returns.\n"
        "Of several values none can be the operand of a step: keep them first.",
        body("let a, b = [8, 16, 32]", "conv(a, 3) -> conv(b, 3)"),
        body("let a, b = [8, 16]", "conv(a, 3) -> conv(b, 3)"),
    ),
    "E0224": entry(
        "a photo does not become this input",
        "`photo(…)` behind an input of 1xHxW or 3xHxW says how a photo becomes it. The scaled\n"
        "photo covers the input, so `resize` is at least its height; `resize` and `crop` say the\n"
        "same in two ways; `mean` and `std` have one number, or one for each channel.",
        "network example {\n    input image [3, 32, 32] photo(resize=28)\n    conv(8, 3)\n}",
        "network example {\n    input image [3, 28, 28] photo(resize=32)\n    conv(8, 3)\n}",
    ),
    "E0225": entry(
        "a recipe that cannot be followed",
        "A recipe has one item of a kind, such as one optimiser and one batch, but any number of\n"
        "initialisers, augmentations and weights of outputs. Training ends where it does not suit\n"
        "the network, which W0210 tells before.",
        "network example {\n    input image [3, 32, 32]\n    conv(8, 3)\n}\n"
        "recipe example {\n    sgd(0.1)\n    adam(1e-3)\n}",
        "network example {\n    input image [3, 32, 32]\n    conv(8, 3)\n}\n"
        "recipe example {\n    adam(1e-3)\n}",
    ),
}
