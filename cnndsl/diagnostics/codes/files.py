"""E06: files, arrays and calls."""

from __future__ import annotations

from cnndsl.diagnostics.codes.entry import Entry

ENTRIES: dict[str, Entry] = {
    "E0601": Entry("cannot read", "There is no such file or network, or it may not be read."),
    "E0602": Entry(
        "cannot write",
        "The folder does not exist, is full, or may not be written. What was at the place\n"
        "before is still there, whole.",
    ),
    "E0603": Entry(
        "wrong content",
        "The file is not what its name says: a network that is not UTF-8 text, or an\n"
        "artefact that is damaged or was made by another tool.",
    ),
    "E0604": Entry(
        "wrong input or output",
        "An array, image or name does not fit the inputs or outputs of the network: their\n"
        "names, number, shapes or types. `cnndsl inspect` shows them.",
    ),
    "E0605": Entry(
        "unknown target or artefact",
        "No backend has this name, or makes files with this ending. `cnndsl list targets`\n"
        "shows all.",
    ),
    "E0606": Entry(
        "not a usable image", "The image is damaged, too narrow, or of no known format."
    ),
    "E0607": Entry("unknown kind of picture", "Pictures are written as `.svg` or `.dot`."),
    "E0608": Entry(
        "not an array file",
        "Arrays come as `.npy` or `.npz`. Files with Python objects are refused, since they\n"
        "can run any code when they are read.",
    ),
    "E0609": Entry(
        "nothing of this name",
        "`cnndsl explain` takes codes, which it lists without one, and the names of operators and "
        "passes, which `cnndsl list` shows; `cnndsl list ops NAME` takes a part of a name too.",
    ),
    "E0610": Entry(
        "unknown pass or level",
        "`cnndsl list passes` shows the passes in their order; `-O` goes from 0 to 3.",
    ),
    "E0611": Entry(
        "no memory plan for open sizes",
        "Memory is planned for known sizes. Give them: `--input-shape image=3x224x224`.",
    ),
    "E0612": Entry(
        "output would destroy a source",
        "The file to be written is one that the command reads, or ends in `.cnn` like a network,\n"
        "which the output is not. Write to another file.",
    ),
    "E0613": Entry(
        "wrong ending",
        "Artefacts are known by the ending of their file, and each target has its own:\n"
        "`cnndsl list targets` shows them.",
    ),
    "E0614": Entry(
        "option of another target",
        "Some options are there for some targets only: `cnndsl compile --help` tells\nwhich.",
    ),
    "E0615": Entry(
        "wrong value of an option",
        "Numbers of samples and threads are whole and at least 1, seeds at least 0; of a kernel\n"
        "no variant or at least two are timed.",
    ),
    "E0616": Entry(
        "refused by the system",
        "A disk or device is full, a folder is gone or may not be entered, or the like.",
    ),
    "E0617": Entry(
        "sizes that cannot stay open",
        "`--dynamic height,width` leaves sizes of the inputs open. A fully connected layer behind\n"
        "a map needs a known size, and so does a text that asks for it.",
    ),
    "E0618": Entry(
        "no language server",
        "The language server speaks with editors through pygls: `pip install 'cnndsl[lsp]'`.",
    ),
    "E0620": Entry(
        "unknown edit",
        "An edit is `PATTERN=KIND`; the kinds are `stack3x3`, `asymmetric`, `separable` and "
        "`lowrank:RANK`. The pattern matches instance paths, as file names in a shell.",
    ),
    "E0621": Entry(
        "convolution cannot be replaced",
        "The edit does not fit this convolution, or its text: it has to be a call of `conv` in a "
        "chain of the edited file, and every instance that the call makes has to allow the edit.",
    ),
    "E0622": Entry(
        "pattern does not fit the text",
        "The pattern matches no convolution, or only some of those that one call makes; or no\n"
        "part of the network has the path. `cnndsl inspect` shows the instance paths.",
    ),
    "E0623": Entry(
        "part cannot be taken out or moved",
        "`cnndsl edit --delete` takes out parts into which one value goes, and out of which one\n"
        "of the same shape comes; `--swap` exchanges two that take and make the same shapes. A\n"
        "unit that halves the map cannot be deleted. The text of the file has to be able to say\n"
        "it, too: parts of a block that is used several times are refused.",
    ),
    "E0630": Entry(
        "no gradient",
        "`argmax` and operators that passes make have no gradient. Networks are differentiated as\n"
        "they are written, with known sizes, before any pass.",
    ),
    "E0640": Entry(
        "not signed by a trusted key",
        "An artefact is code, and `--trust`, `trust=`, `CNNDSL_TRUST` or\n"
        "`CNNDSL_REQUIRE_SIGNATURE=1` asks for one that a trusted key signed. The signature of\n"
        "FILE is FILE.sig, made by `cnndsl compile --sign KEY` or `cnndsl sign`; it counts for\n"
        "the very bytes of the file.",
    ),
    "E0641": Entry(
        "not a key for signatures",
        "Keys are PEM files of Ed25519, as OpenSSL makes them; whoever signs has the private key,\n"
        "and whoever loads trusts the public one.\n\n"
        "```\nopenssl genpkey -algorithm ed25519 -out key.pem\n"
        "openssl pkey -in key.pem -pubout -out public.pem\n```",
    ),
    "E0642": Entry(
        "cryptography not installed",
        "Signatures are made and verified by the package cryptography, which\n"
        "`pip install 'cnndsl[sign]'` brings.",
    ),
}
