"""A hook of mkdocs: links that leave docs/."""

from __future__ import annotations

import posixpath
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

STANDS_FOR = {"README.md": "start.md", "CONTRIBUTING.md": "contributing.md"}
"""Files beside docs/, and their pages on the site."""


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links out of docs/ to the pages that stand for them; those to code become text."""
    folder = "." if page.file.src_uri == "contributing.md" else "docs"

    def inside(link: re.Match[str]) -> str:
        text, target = link.groups()
        path = posixpath.normpath(posixpath.join(folder, target))
        path = path.replace("docs/tutorial.ipynb", "docs/tutorial.md")
        if path.startswith("docs/"):
            return f"[{text}]({path.removeprefix('docs/')})"
        return f"[{text}]({STANDS_FOR[path]})" if path in STANDS_FOR else text

    if "/" in page.file.src_uri:
        return markdown
    return re.sub(r"(?<!!)\[([^]]+)\]\(([^)#:\s]+)\)", inside, markdown)
