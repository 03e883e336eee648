"""What the catalogue says of one code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A short title, and the explanation with an example, as Markdown."""

    title: str
    text: str


def entry(title: str, meaning: str, wrong: str, right: str) -> Entry:
    """An entry with a wrong and a right `.cnn` text."""
    examples = f"Wrong:\n\n```cnn\n{wrong}\n```\n\nRight:\n\n```cnn\n{right}\n```"
    return Entry(title, f"{meaning}\n\n{examples}")


def body(*lines: str) -> str:
    """A network with these statements behind its input."""
    return "\n    ".join(["network example {", "input image [3, 32, 32]", *lines]) + "\n}"


def with_block(block: str, *lines: str) -> str:
    """A block, and a network with these statements behind its input."""
    return f"{block}\n{body(*lines)}"
