"""E05: bounds that no network of the literature comes near."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry, body, entry

ENTRIES: dict[str, Entry] = {
    "E0501": entry(
        "nested too deeply",
        "Brackets, expressions and blocks inside blocks nest at most 64 deep.",
        body("conv(" + "(" * 65 + "8" + ")" * 65 + ", 3)"),
        body("conv(8, 3)"),
    ),
    "E0502": entry(
        "number or list too large",
        "Numbers that are calculated and whole ones that are written stay within 2**63, and have\n"
        "at most 40 characters; exponents of powers stay within 1,024. Loops run at most 10,000\n"
        "times, a list with all lists in it has at most 10,000 items, and an axis of a value\n"
        "2,147,483,647 positions.",
        body("repeat 20000 { relu }"),
        body("repeat 20 { relu }"),
    ),
    "E0503": entry(
        "network too large",
        "A network has at most 25,000 operators, and takes at most 200,000 steps to build:\n"
        "each statement, expression, round of a loop and list item is one.",
        body("repeat 200 { repeat 200 { relu } }"),
        body("repeat 20 { repeat 20 { relu } }"),
    ),
    "E0504": entry(
        "block contains itself without end",
        "A block can contain itself, directly or through others, at most 32 deep. A parameter\n"
        "that falls from level to level must end it.",
        "block deep(width) { conv(width, 3) -> deep(width) }\n" + body("deep(8)"),
        "block deep(width, depth) {\n    conv(width, 3)\n"
        "    if depth > 1 { deep(2*width, depth - 1) }\n}\n" + body("deep(8, 3)"),
    ),
    "E0505": Entry(
        "text too large",
        "A `.cnn` file has at most 250,000 bytes. Weights belong into a weight file.",
    ),
}
