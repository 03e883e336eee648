"""E04: weight files, rename rules, and weights that do not fit."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry

ENTRIES: dict[str, Entry] = {
    "E0401": Entry(
        "not a readable weight file",
        "The file is neither safetensors nor a PyTorch state dict, or it is damaged or cut\n"
        "off. Nothing of it was used.",
    ),
    "E0402": Entry(
        "no weights given",
        "The network has parameters. Give `--weights FILE`, or `--seed N` for random ones.",
    ),
    "E0403": Entry(
        "pickle with more than tensors",
        "A PyTorch file is a pickle, which can run any code when it is read. Only tensors\n"
        "in dicts and lists are built from it; the file asks for something else. Save the\n"
        "tensors alone:\n\n"
        "```python\ntorch.save(model.state_dict(), FILE)\n```",
    ),
    "E0404": Entry(
        "weights do not fit",
        "Names are missing or arrays have other shapes; the notes list them with the\n"
        "closest names of the file. `--weights-map FILE` renames, `cnndsl weights list\n"
        "NETWORK` shows all names, and `--seed N` initialises what is missing.",
    ),
    "E0405": Entry(
        "weights are not floats",
        "An array of the file holds whole numbers or truth values where weights are needed.",
    ),
    "E0406": Entry(
        "weights are not finite",
        "An array holds NaN or infinity, or a number too large for float32. The message\n"
        "names the first one.",
    ),
    "E0407": Entry(
        "wrong rename rule",
        "A rule is `source -> target`, with `*` for a part of a name, `**` for several, and `{1}`\n"
        "in the target for what the first wildcard matched:\n\n"
        "```\nlayer*.*.conv*.* -> stage{1}.{2}.conv{3}.*\n```",
    ),
    "E0408": Entry(
        "rename rule cannot count",
        "`{1+1}` counts from what a wildcard matched, which was no number here, or the\n"
        "result is negative.",
    ),
    "E0409": Entry(
        "two weights get one name",
        "Two names of the file become the same by the rules, so one would be lost.",
    ),
    "E0412": Entry(
        "computed weights are not finite",
        "What an optimisation computes from the weights is NaN or infinite: a variance is\n"
        "negative, or a weight too large.",
    ),
    "E0413": Entry(
        "no rules for this network",
        "The zoo has no rename rules from this framework that explain any name. `--from auto`\n"
        "needs none.",
    ),
    "E0414": Entry(
        "layers differ",
        "The layers of the weight file are not those of the network: another variant, or\n"
        "another number of classes. The notes show the first differences.",
    ),
    "E0415": Entry(
        "layers cannot be told apart",
        "Several layers have the same shape, and neither names nor structure tell which is\n"
        "which. `--draft FILE` writes rename rules in which doubtful lines have a question\n"
        "mark and what else they could be. Correct them and give them as `--weights-map`.",
    ),
    "E0416": Entry(
        "weights do not fit into memory",
        "The network has more parameters than this machine has memory for: 4 bytes each.",
    ),
    "E0417": Entry(
        "weights cannot be replaced",
        "An `.onnx` file holds what the optimiser made of the weights, not how. Only in the\n"
        "process that compiled it can the module take others. Compile the network anew.",
    ),
    "E0418": Entry(
        "h5py is missing",
        "Files of Keras are HDF5, which is read with h5py: `pip install 'cnndsl[keras]'`.",
    ),
}
