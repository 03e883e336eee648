"""E03: an operator cannot take its attributes or operands."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry, body, entry

OPEN = "network example {{\n    input image [3, H, W]\n    {}\n}}"

ENTRIES: dict[str, Entry] = {
    "E0301": entry(
        "shapes do not join",
        "`add`, `sub`, `mul`, `div`, `max`, `min` and `average` join values of one shape.\n"
        "Smaller ones are repeated: along axes of size 1, and a vector at all positions.\n"
        "`concat` joins values that differ in their channels only. The notes say where each\n"
        "came from.",
        body("add { identity | conv(8, 3) }"),
        body("add { conv(8, 1) | conv(8, 3) }"),
    ),
    "E0302": entry(
        "channels do not divide",
        "Groups, shuffles and maxout split the channels into equal parts.",
        body("conv(8, 3, groups=2)"),
        body("conv(9, 3, groups=3)"),
    ),
    "E0303": entry(
        "window larger than its input",
        "A kernel with its dilation spans more positions than the padded input has, or the\n"
        "padding of a transposed convolution crops all of its result; positions are reflected or\n"
        "wrapped that are not there, or all are left out.",
        body("conv(8, 33, pad=valid)"),
        body("conv(8, 32, pad=valid)"),
    ),
    "E0304": entry(
        "not a part of the channels",
        "A slice goes from its start up to its stop, which is left out; both lie in the input.",
        body("slice(2, 5)"),
        body("slice(2, 3)"),
    ),
    "E0305": entry(
        "fewer channels than before",
        "`pad_channels` adds channels of zeros; it cannot take any away.",
        body("conv(16, 3) -> pad_channels(8)"),
        body("conv(16, 3) -> slice(0, 8)"),
    ),
    "E0306": entry(
        "wrong number of axes",
        "Convolution and pooling work on values with one, two or three spatial axes; a\n"
        "vector has none.",
        body("fc(10) -> conv(8, 3)"),
        body("conv(8, 3) -> fc(10)"),
    ),
    "E0307": entry(
        "sizes for other axes",
        "A list of sizes has one for each spatial axis of the input; a single one holds for all.",
        body("conv(8, [3, 3, 3])"),
        body("conv(8, [3, 1])"),
    ),
    "E0308": entry(
        "needs a known size",
        "The operator's weights or windows depend on the size of its input, which is open.\n"
        "Declare the input with numbers, give `--input-shape`, or use an operator that\n"
        "takes every size.",
        OPEN.format("flatten -> fc(10)"),
        OPEN.format("global_avgpool -> fc(10)"),
    ),
    "E0309": entry(
        "wrong value of an argument",
        "The argument takes other values; the message says which.",
        body("conv(8, 3, stride=0)"),
        body("conv(8, 3, stride=2)"),
    ),
    "E0310": entry(
        "wrong connection table",
        "A table has one row for each filter: the input channels (from 0) that it reads. It\n"
        "excludes groups and constant weights.",
        body("conv(2, 3, table=[[0, 1]])"),
        body("conv(2, 3, table=[[0, 1], [2]])"),
    ),
    "E0311": entry(
        "wrong shape of a constant weight",
        "A constant weight is nested lists of [filters, channels/groups, *kernel], for depthwise\n"
        "[filters, *kernel], for conv_transpose [channels, filters/groups, *kernel]; or one\n"
        "[*kernel], which all filters and channels share.",
        body("conv(1, 1, bias=false, weight=[[[[0.3]], [[0.6]]]])"),
        body("conv(1, 1, bias=false, weight=[[[[0.3]], [[0.6]], [[0.1]]]])"),
    ),
    "E0312": entry(
        "wrong output padding",
        "The output padding of a transposed convolution chooses among the sizes that its\n"
        "stride allows, so it is smaller than the stride or the dilation; `same` leaves no\n"
        "choice.",
        body("conv_transpose(8, 3, stride=2, pad=1, output_pad=2)"),
        body("conv_transpose(8, 3, stride=2, pad=1, output_pad=1)"),
    ),
    "E0314": entry(
        "pooling window outside the input",
        "Padding as large as the window makes windows that hold no value of the input.",
        body("maxpool(2, pad=2)"),
        body("maxpool(2, pad=1)"),
    ),
    "E0315": Entry(
        "number formats do not join",
        "All operands of an operator hold numbers of one format, such as float32.",
    ),
    "E0316": entry(
        "hardly anything but padding",
        "A dilation or a padding of thousands of positions around a small input: the padded\n"
        "input would take much memory for nothing but zeros.",
        body("conv(8, 3, dilation=20000)"),
        body("conv(8, 3, dilation=2)"),
    ),
}
