"""Random edits of texts of the zoo, through the server and through a check from nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import cnndsl
from cnndsl.diagnostics import Diagnostic
from cnndsl.language import loader
from cnndsl.language.parse import parser
from tests.editor.client import Client
from tests.fuzz.mutate import TOKEN, mutate

REQUESTS = ("hover", "completion", "definition", "prepareRename")
WHOLE_TEXT = ("documentSymbol", "foldingRange", "semanticTokens/full")


def edits(texts: Sequence[str], count: int, seed: int) -> Iterator[tuple[str, int]]:
    """Texts, each an edit of the one before it until a fresh one is taken, and a place in each."""
    random_ = random.Random(seed)
    text = random_.choice(texts)
    for _ in range(count):
        if random_.random() < 0.3 or len(TOKEN.findall(text)) > 5000:
            text = random_.choice(texts)
        text = mutate([text], random_)
        yield text, random_.randrange(len(text) + 1)


def fresh_findings(client: Client, name: str, text: str) -> list[Diagnostic]:
    """What `check` finds in a file with a text, nothing of which it has seen before."""
    path = client.folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
    loader._parsed.cache_clear()
    parser._parsed_piece.cache_clear()
    return cnndsl.check(path)


def disagreement(client: Client, name: str, text: str, offset: int) -> str | None:
    """What differs between the server's findings and a fresh check's. Asks about a place, too.

    Raises RuntimeError if the server fails at that.
    """
    found = [_found(item, client, name) for item in fresh_findings(client, name, text)]
    told = [_told(item) for item in client.open(name, text)]
    for method in REQUESTS:
        client.at(method, name, offset)
    for method in WHOLE_TEXT:
        client.about(method, name)
    first, last = {"line": 0, "character": 0}, {"line": 9999, "character": 0}
    client.about("inlayHint", name, range={"start": first, "end": last})
    return None if told == found else f"{told} != {found}"


def _told(item: dict[str, Any]) -> tuple[Any, ...]:
    start = item["range"]["start"]
    if item["message"].startswith("/"):
        return item["code"], item["message"], "at an import"
    return item["code"], item["message"], start["line"], start["character"]


def _found(item: Diagnostic, client: Client, name: str) -> tuple[Any, ...]:
    message = f"{item.message}\n{item.hint}" if item.hint else item.message
    if item.span is None:
        return item.code, message, 0, 0
    if item.span.source.name != str(client.folder / name):
        return item.code, f"{item.span}: {message}", "at an import"
    text = item.span.source.text[: item.span.start]
    line = text[text.rfind("\n") + 1 :]
    return item.code, message, text.count("\n"), len(line.encode("utf-16-le")) // 2
