"""A hook of mkdocs: pages made of the repository, one for each family of networks."""

from __future__ import annotations

from pathlib import Path

import families
import notebooks
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file in docs/ holds."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    tutorial = notebooks.page(ROOT / "docs" / "tutorial.ipynb")
    made = {"contributing.md": contributing, "tutorial.md": tutorial, **families.pages()}
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files
