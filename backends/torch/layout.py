"""Lines that fit: long ones are broken at the commas of a bracket."""

from __future__ import annotations

from collections.abc import Iterator

WIDTH = 100
INDENT = "    "
OPENING, CLOSING = "([{", ")]}"


def wrapped(text: str, depth: int) -> list[str]:
    """A statement as lines of at most WIDTH letters, as far as its brackets let it."""
    line = INDENT * depth + text
    if len(line) <= WIDTH:
        return [line]
    opened = _outermost(text)
    if opened is None:
        return _in_parentheses(text, depth)
    start, end = opened
    parts = list(_parts(text[start + 1 : end]))
    one = f"{INDENT * (depth + 1)}{', '.join(parts)}"
    if not parts:
        return [line]
    if len(one) <= WIDTH and len(parts) > 1 and not any(p.startswith("*") for p in parts):
        inner = [one]
    else:
        inner = []
        for part in parts:
            rows = wrapped(part, depth + 1)
            inner += [*rows[:-1], f"{rows[-1]},"]
    return [INDENT * depth + text[: start + 1], *inner, INDENT * depth + text[end:]]


def _in_parentheses(text: str, depth: int) -> list[str]:
    """A sum of several lines."""
    for head in ("return ", *([text[: text.index(" = ") + 3]] if " = " in text else [])):
        if text.startswith(head):
            rest = text[len(head) :]
            inner = wrapped(rest, depth + 1)
            return [f"{INDENT * depth}{head}(", *inner, f"{INDENT * depth})"]
    cut = list(_splits(text))
    if len(cut) > 1:
        rows = []
        for index, term in enumerate(cut):
            rows.append(INDENT * depth + (term if index == 0 else f"+ {term}"))
        return rows
    return [INDENT * depth + text]


def _splits(text: str) -> Iterator[str]:
    """The terms of a sum."""
    level, start = 0, 0
    for index, letter in enumerate(text):
        level += (letter in OPENING) - (letter in CLOSING)
        if level == 0 and text.startswith(" + ", index):
            yield text[start:index]
            start = index + 3
    yield text[start:]


def _outermost(text: str) -> tuple[int, int] | None:
    """The last bracket outside of others, if only a few letters follow it."""
    level, start, found = 0, 0, None
    quoted = ""
    for index, letter in enumerate(text):
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "'\"":
            quoted = letter
        elif letter in OPENING:
            start = index if level == 0 else start
            level += 1
        elif letter in CLOSING:
            level -= 1
            if level == 0:
                found = (start, index)
    if found is None or len(text) - found[1] > 2:
        return None
    return found if len(list(_splits(text))) == 1 else None


def _parts(text: str) -> Iterator[str]:
    """What stands between commas."""
    level, start, quoted = 0, 0, ""
    for index, letter in enumerate(text):
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "'\"":
            quoted = letter
        else:
            level += (letter in OPENING) - (letter in CLOSING)
            if level == 0 and letter == ",":
                yield text[start:index].strip()
                start = index + 1
    if text[start:].strip():
        yield text[start:].strip()
