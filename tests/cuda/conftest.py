"""The emulated driver for all tests of the target."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cuda.emulator import Emulator, use_emulated_driver


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("cuda")
    with pytest.MonkeyPatch.context() as patch:
        use_emulated_driver(patch, folder)
        yield Emulator(folder)
