"""Two dozen random edits; `make test-editor` makes a thousand, of all files of the zoo."""

from __future__ import annotations

from cnndsl.language.sources import zoo_folder
from tests.editor.client import Client
from tests.editor.edits import disagreement, edits

SMALL = ("lenet.cnn", "alexnet.cnn", "squeezenet.cnn", "style.cnn", "super_resolution.cnn")


def test_edits_leave_the_findings_of_a_fresh_check(client: Client) -> None:
    texts = [(zoo_folder() / name).read_text("utf-8") for name in SMALL]
    for text, offset in edits(texts, 24, seed=0):
        assert disagreement(client, "edited.cnn", text, offset) is None, text
