"""docs/tutorial.ipynb: run from the first cell to the last, it shows what the page shows.

Cells tagged `measured` show times and errors of this machine; of them the kinds of output count.
`pytest tests/extra/notebook --update-golden` writes what is shown now.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

PAGE = Path(__file__).parents[3] / "docs" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def written() -> Any:
    return nbformat.read(PAGE, as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    notebook = nbformat.read(PAGE, as_version=4)
    folder = str(tmp_path_factory.mktemp("notebook"))
    NotebookClient(
        notebook, timeout=300, record_timing=False, resources={"metadata": {"path": folder}}
    ).execute()
    del notebook.metadata["language_info"]  # the version of Python is that of who runs it
    if request.config.getoption("--update-golden"):
        nbformat.write(notebook, PAGE)
    return notebook


def shown(cell: Any) -> list[Any]:
    """The outputs of a cell; of a measured one their kinds."""
    if "measured" not in cell.metadata.get("tags", ()):
        return [dict(output) for output in cell.outputs]
    return [(output.output_type, sorted(output.get("data", ()))) for output in cell.outputs]


def test_it_is_a_notebook(written: Any) -> None:
    nbformat.validate(written)


def test_every_cell_shows_what_the_page_shows(executed: Any) -> None:
    before = nbformat.read(PAGE, as_version=4)
    pairs = list(zip(before.cells, executed.cells, strict=True))
    assert sum(cell.cell_type == "code" for cell, _ in pairs) > 8
    for old, new in pairs:
        if old.cell_type == "code":
            assert shown(new) == shown(old), old.source


def test_networks_modules_and_measurements_have_html_and_text(executed: Any) -> None:
    results = [output for cell in executed.cells for output in cell.get("outputs", ())]
    rich = [output.data for output in results if "text/html" in output.get("data", ())]
    assert len(rich) >= 5
    assert all({"text/html", "text/plain"} == set(data) for data in rich)
