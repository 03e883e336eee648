"""Values of options, checked as they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from cnndsl.cli import completion

Read = TypeVar("Read")


class Setting(click.ParamType[tuple[str, Any]]):
    """NAME=VALUE; the value is a number, true, false, a list such as [3, 4], or else a text."""

    name = "name=value"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Any]:
        """The name and the value."""
        name, equals, text = str(value).partition("=")
        if not equals or not name.isidentifier():
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            parsed = text
        return name, text if isinstance(parsed, dict) or parsed is None else parsed


class PatternValue(click.ParamType[tuple[str, Read]]):
    """PATTERN=VALUE; `value` reads what stands behind the last = and may raise ValueError."""

    def __init__(self, what: str, value: Callable[[str], Read], example: str):
        self.name = f"pattern={what}"
        self.value, self.example = value, example

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Read]:
        """The pattern and the value."""
        pattern, _, text = str(value).rpartition("=")
        try:
            if not pattern:
                raise ValueError(value)
            return pattern, self.value(text)
        except ValueError:
            self.fail(f"{value!r} is not {self.name.upper()}, such as {self.example}", param, ctx)


class PatternShare(PatternValue[float]):
    """PATTERN=SHARE: of layers by their paths, a number from 0 to 1."""

    def __init__(self) -> None:
        super().__init__("share", _share, "'fire*=0.5'")


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError(text)
    return share


class Names(click.ParamType[tuple[str, ...]]):
    """A,B,C, some of `choices` if there are any."""

    name = "a,b,..."

    def __init__(self, choices: Collection[str] = ()):
        self.choices = choices

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """The names."""
        names = value if isinstance(value, tuple) else tuple(str(value).split(","))
        for name in names:
            if self.choices and name not in self.choices:
                self.fail(f"{name!r} is none of {', '.join(self.choices)}", param, ctx)
        return names


class InputShape(click.ParamType[tuple[str, tuple[int, ...]]]):
    """NAME=3x384x384: the shape of one sample, channels first."""

    name = "name=CxHxW"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, tuple[int, ...]]:
        """The name and the sizes."""
        name, _, text = str(value).partition("=")
        sizes = text.split("x")
        if not name.isidentifier() or not all(s.isascii() and s.isdigit() for s in sizes):
            self.fail(f"{value!r} is not NAME=CxHxW, such as image=3x384x384", param, ctx)
        return name, tuple(map(int, sizes))


class NamedPath(click.ParamType[tuple[str | None, Path]]):
    """FILE, or NAME=FILE."""

    name = "[name=]file"

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        """Any file."""
        return completion.files(ctx, param, incomplete)

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str | None, Path]:
        """The name, or None, and the path."""
        name, equals, path = str(value).partition("=")
        if not (equals and name.isidentifier()):
            name, path = "", str(value)
        if not path:
            self.fail(f"{value!r} names no file", param, ctx)
        return name or None, Path(path)
