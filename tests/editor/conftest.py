"""One server process for all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.editor.client import Client


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    known = Client(tmp_path_factory.mktemp("editor"))
    yield known
    assert known.stop() == 0
