"""Which warnings are wanted: by the beginnings of their codes, and by comments in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cnndsl.diagnostics import Diagnostic, Severity, Source

_COMMENT_OR_STRING = re.compile(r'"[^"\n]*"|#[^\n]*')
_IGNORE = re.compile(r"#\s*cnndsl:\s*ignore\[([^\]]*)\]")

WARNINGS, LINTS = "W02", "W03"


@dataclass(frozen=True)
class Selection:
    """The beginnings of codes that are wanted, and of those that are not; the longest counts.

    Errors are always wanted.
    """

    select: tuple[str, ...] = (WARNINGS,)
    ignore: tuple[str, ...] = ()

    def takes(self, code: str) -> bool:
        """Whether findings with a code are wanted."""
        wanted, unwanted = (_longest(code, some) for some in (self.select, self.ignore))
        return code.startswith("E") or wanted > unwanted

    def wanted(self, findings: Iterable[Diagnostic]) -> list[Diagnostic]:
        """The findings that are wanted and that no comment ignores."""
        return [found for found in findings if self.takes(found.code) and not is_ignored(found)]


def _longest(code: str, beginnings: Sequence[str]) -> int:
    return max((len(b) for b in beginnings if code.startswith(b)), default=0)


def is_ignored(found: Diagnostic) -> bool:
    """Whether a comment such as `# cnndsl: ignore[W0303]` stands for a warning.

    Beside code it stands for its line, on a line of its own for all below it, up to the end of the
    braces that it is in.
    """
    if found.span is None or found.severity == Severity.ERROR:
        return False
    start = found.span.start
    return any(
        first <= start < last and _longest(found.code, codes) > 0
        for first, last, codes in _ignored(found.span.source)
    )


@lru_cache(maxsize=64)
def _ignored(source: Source) -> tuple[tuple[int, int, tuple[str, ...]], ...]:
    """The ranges of a text in which comments ignore codes."""
    return tuple(_ranges(source.text)) if "cnndsl:" in source.text else ()


def _ranges(text: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    plain = _COMMENT_OR_STRING.sub(lambda match: " " * len(match.group()), text)
    for comment in _COMMENT_OR_STRING.finditer(text):
        match = _IGNORE.match(comment.group())
        if match is None:
            continue
        codes = tuple(code.strip().upper() for code in match[1].split(",") if code.strip())
        line = text.rfind("\n", 0, comment.start()) + 1
        if text[line : comment.start()].strip():
            yield line, comment.end(), codes
        else:
            yield comment.end(), _closing(plain, comment.end()), codes


def _closing(text: str, start: int) -> int:
    """The brace that closes the one around a place, or the end of the text."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if match.group() == "{" else -1
        if depth < 0:
            return match.start()
    return len(text)
