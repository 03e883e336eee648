"""A page inside a notebook."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True)
class Framed:
    """A page that a notebook shows in a frame; its scripts reach nothing outside of it."""

    name: str
    page: bytes = field(repr=False)
    height: int

    def _repr_html_(self) -> str:
        document = escape(self.page.decode())
        style = f"width: 100%; height: {self.height}px; border: 1px solid #90a4ae"
        return (
            f'<iframe title="{escape(self.name)}" sandbox="allow-scripts" style="{style}" '
            f'srcdoc="{document}"></iframe>'
        )
