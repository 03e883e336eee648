"""E08: models of other formats."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry

ENTRIES: dict[str, Entry] = {
    "E0801": Entry(
        "damaged model",
        "The file is not an ONNX model, or contradicts itself: a tensor that nothing makes, an\n"
        "attribute of another type, a weight that does not fit.",
    ),
    "E0802": Entry(
        "operator that is not read",
        "Nothing in cnndsl computes what this operator does, or the operator set is too old or\n"
        "new. `--outputs NAME` cuts the model before it. docs/import.md lists what is read.",
    ),
    "E0803": Entry(
        "operator that is not read in this form",
        "The operator is known, but not with these attributes, axes or operands.\n"
        "docs/import.md tells in which forms it is read.",
    ),
    "E0804": Entry(
        "batch that is not kept apart",
        "Networks compute every sample alike, and the first axis of every tensor is that of the\n"
        "samples. The model moves, splits or merges this axis.",
    ),
    "E0805": Entry(
        "model that is too large",
        "A tensor, a constant or the model itself is larger than anything that could be run.",
    ),
    "E0806": Entry(
        "numbers beside the model",
        "The numbers of a tensor are in a file that is missing, too short, or not in the folder\n"
        "of the model. Only files in that folder are read.",
    ),
    "E0807": Entry("no such tensor", "`--outputs` takes names of tensors of the model."),
}
