"""E01: the text is not in the language."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry, body, entry

ENTRIES: dict[str, Entry] = {
    "E0101": entry(
        "unexpected character",
        "A character has no meaning in the language. Statements end with their line, not\n"
        "with a semicolon; strings stand in straight double quotes.",
        body("conv(8, 3);"),
        body("conv(8, 3)"),
    ),
    "E0102": entry(
        "string not closed",
        "A string begins with a double quote and ends with one on the same line.",
        'import fire from "squeezenet.cnn\n' + body("fire(16, 64)"),
        'import fire from "squeezenet.cnn"\n' + body("fire(16, 64)"),
    ),
    "E0103": entry(
        "unexpected symbol",
        "The text cannot go on like this; the message lists what could stand here. The hint\n"
        "names a bracket that is still open, if one is.",
        body("conv(8 3) -> relu"),
        body("conv(8, 3) -> relu"),
    ),
}
