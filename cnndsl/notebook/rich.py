"""Objects that notebooks show."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol


class Rich(ABC):
    """Shows itself as HTML, and as text where there is none; both are made when asked for."""

    @abstractmethod
    def _repr_html_(self) -> str:
        """HTML without scripts, which reaches nothing outside of it."""

    @abstractmethod
    def _repr_text_(self) -> str:
        """The same as lines of text."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Both by their MIME types; what is included is left to who asks, as IPython allows."""
        return {"text/plain": self._repr_text_(), "text/html": self._repr_html_()}


class Measured(Protocol):
    """A result of measuring."""

    def data(self) -> dict[str, Any]:
        """Everything as plain data."""
