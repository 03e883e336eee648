"""E09: number formats and calibration."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry

ENTRIES: dict[str, Entry] = {
    "E0901": Entry(
        "precision that a target has not",
        "`--precision` is f32, bf16, f16, int8, tf32 or auto; docs/precision.md has a table of\n"
        "what each target computes in.",
    ),
    "E0902": Entry(
        "no calibration",
        "Codes of 8 bits need the range of every tensor. `cnndsl calibrate NET --images FOLDER`\n"
        "measures them, `cnndsl compile NET --precision int8 --calibration FILE` uses them.",
    ),
    "E0903": Entry(
        "not a calibration",
        "A calibration is JSON as `cnndsl calibrate` writes it: for every tensor a scale, a\n"
        "number over 0, and a zero point from 0 to 255, and for every channel a mean.",
    ),
    "E0904": Entry(
        "calibration of another network",
        "The tensors of the network are not those that were calibrated: it is another network, or\n"
        "its text, its parameters or the level of optimisation have changed. Calibrate again.",
    ),
    "E0905": Entry(
        "nothing to calibrate with",
        "`--images` takes a folder of photos, `--input` arrays [samples, *shape]. The values of\n"
        "all layers have to be finite for them.",
    ),
    "E0906": Entry(
        "no such layer",
        "`--keep-float` takes names of layers, blocks or patterns such as `features.*`, as\n"
        "`cnndsl inspect` shows them.",
    ),
}
