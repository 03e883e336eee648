"""A thousand random edits of all files of the zoo, as the default tests make some dozens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.editor.client import Client
from tests.editor.edits import disagreement, edits
from tests.fuzz.mutate import corpus

SEEDS = range(10)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    known = Client(tmp_path_factory.mktemp("editor"))
    yield known
    assert known.stop() == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hundred_edits_leave_the_findings_of_a_fresh_check(client: Client, seed: int) -> None:
    for text, offset in edits(corpus(), 100, seed):
        assert disagreement(client, "edited.cnn", text, offset) is None, text
