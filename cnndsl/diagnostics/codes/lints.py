"""W03: what is legal and often unwise; found by `cnndsl check --lint`."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry, body, entry

ENTRIES: dict[str, Entry] = {
    "W0301": entry(
        "representation bottleneck",
        "One layer that everything goes through leaves less than an eighth of the numbers that\n"
        "were left before it: size times channels should fall gently. A stride of 2 on both axes\n"
        "takes three quarters; widen where the map shrinks, or shrink in two steps.\n\n"
        "Source: Szegedy et al. (2016), Rethinking the Inception architecture for computer\n"
        "vision, sections 2 (principle 1) and 5.",
        body("conv(8, 3)", "maxpool(8)", "conv(32, 3)"),
        body("conv(8, 3)", "maxpool(2) -> conv(16, 3)", "maxpool(2) -> conv(32, 3)"),
    ),
    "W0302": entry(
        "asymmetric kernel on a large map",
        "A kernel of 1xn or nx1 stands where the map has more than 20 positions on an axis. The\n"
        "factorisation of nxn works on maps of 12 to 20; in early layers it does not work well.\n\n"
        "Source: Szegedy et al. (2016), Rethinking the Inception architecture for computer\n"
        "vision, section 3.2.",
        body("conv(16, [1, 7]) -> conv(16, [7, 1])"),
        body("conv(16, 3, stride=2)", "conv(16, [1, 7]) -> conv(16, [7, 1])"),
    ),
    "W0303": entry(
        "residual branch ends in a relu",
        "What is added to the shortcut is never negative, so the signal can only grow from unit\n"
        "to unit. End the branch with a convolution or a norm, and put the relu behind the\n"
        "addition, or in front of the convolutions.\n\n"
        "Source: He et al. (2016), Identity mappings in deep residual networks, section 4.1,\n"
        "figure 4 (c).",
        body("conv(16, 3)", "add { conv(16, 3) -> relu | identity }"),
        body("conv(16, 3)", "add { conv(16, 3) | identity } -> relu"),
    ),
    "W0304": entry(
        "width that wastes lanes",
        "The filters of a layer inside the network are so far from a multiple of 8 that more\n"
        "than a tenth is wasted: vector units of CPUs compute 8 or 16 float32 at once, tensor\n"
        "cores 8 half precision numbers, and what is missing is computed for nothing. A layer\n"
        "that makes an output has the width it needs.\n\n"
        "Source: NVIDIA, Deep learning performance documentation, Convolutional layers user's\n"
        "guide, section on channels in and out.",
        body("conv(12, 3) -> relu -> conv(8, 3)"),
        body("conv(16, 3) -> relu -> conv(8, 3)"),
    ),
    "W0305": entry(
        "bias before a bn",
        "The norm subtracts the mean, and with it any bias in front of it: it is learned for\n"
        "nothing. `defaults conv(bias=false)` leaves them all out.\n\n"
        "Source: Ioffe and Szegedy (2015), Batch normalization: accelerating deep network\n"
        "training by reducing internal covariate shift, section 3.2.",
        body("conv(8, 3) -> bn -> relu"),
        body("conv(8, 3, bias=false) -> bn -> relu"),
    ),
}
