"""Executed notebooks as pages in Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def page(path: Path) -> str:
    """The cells of a notebook (nbformat 4) with what they show, as HTML where there is some."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    download = f"[This page as a notebook]({path.name})."
    return "\n\n".join([*map(_cell, cells), download, ""])


def _cell(cell: dict[str, Any]) -> str:
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return text
    return "\n\n".join([f"```python\n{text}\n```", *map(_output, cell["outputs"])])


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        return f"<div>{''.join(data['text/html'])}</div>"
    return f"```text\n{''.join(data.get('text/plain', output.get('text', ''))).rstrip()}\n```"
