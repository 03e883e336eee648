"""What all tests share: golden files and the option that rewrites them, a cache of their own.

And an emulated GPU, whose header takes seconds to compile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.cpu.support import leave_unoptimised

if TYPE_CHECKING:
    from tests.cuda.emulator import Emulator

TESTS = Path(__file__).parent
ABOUT_CODE = {"cpu", "operators", "extra"}
"""Folders of tests of the code that users get, as LLVM optimises it."""

settings.register_profile("any machine", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("any machine")
"""How long an example takes says nothing: the machine may be slow or busy."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="Write what the tests find into the golden files instead of comparing.",
    )


def pytest_configure(config: pytest.Config) -> None:
    os.environ["CNNDSL_CACHE"] = str(config.cache.mkdir("cnndsl") / "cache")


@pytest.fixture(scope="module", autouse=True)
def _quick_code(request: pytest.FixtureRequest) -> Iterator[None]:
    """Elsewhere native code is not optimised by LLVM, in half of the time."""
    folder = request.path.relative_to(TESTS).parts[0]
    with pytest.MonkeyPatch.context() as patch:
        if folder not in ABOUT_CODE:
            leave_unoptimised(patch)
        yield


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The target cuda without a GPU, with the emulated driver for all tests of it."""
    from tests.cuda.emulator import Emulator, use_emulated_driver

    folder = tmp_path_factory.mktemp("cuda")
    with pytest.MonkeyPatch.context() as patch:
        use_emulated_driver(patch, folder)
        yield Emulator(folder)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a text with the golden file at a path, or writes it there with --update-golden."""

    def check(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.write_text(text, "utf-8")
        assert path.read_text("utf-8") == text

    return check
