"""How soon the language server answers a keystroke, against a bar.

    python benchmarks/keystrokes.py [FILE.cnn] [--count 40]

types and takes back characters in a file of the zoo, and prints the times, in milliseconds, from
each change to its findings, and from a request for completions to their list. Times of the
processor are those of the server alone: what a quiet machine takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cnndsl.language.sources import zoo_folder

BAR = 150
"""Milliseconds."""

PAUSE = 0.1
"""Seconds between an answer and the next character: those of a quick typist."""


class Session:
    """A server with one open text."""

    def __init__(self, text: str) -> None:
        command = [sys.executable, "-m", "cnndsl", "lsp"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        folder = Path(tempfile.gettempdir())
        self.uri = (folder / "keystrokes.cnn").as_uri()
        self.number = 0
        self.request("initialize", processId=None, rootUri=None, capabilities={})
        self.notify("initialized")
        document = {"uri": self.uri, "languageId": "cnn", "version": 0, "text": text}
        self.notify("textDocument/didOpen", textDocument=document)
        self.findings()

    def change(self, text: str) -> None:
        """Give the text another content and wait for its findings."""
        self.number += 1
        document = {"uri": self.uri, "version": self.number}
        changes = [{"text": text}]
        self.notify("textDocument/didChange", textDocument=document, contentChanges=changes)
        self.findings()

    def complete(self, line: int, character: int) -> None:
        """Ask for completions."""
        place = {"line": line, "character": character}
        document = {"uri": self.uri}
        self.request("textDocument/completion", textDocument=document, position=place)

    def processor(self) -> float:
        """Seconds that the server has computed."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / 100

    def findings(self) -> None:
        """Wait for findings."""
        while self._receive().get("method") != "textDocument/publishDiagnostics":
            pass

    def request(self, method: str, **params: Any) -> None:
        """Ask, and wait for the answer."""
        self.number += 1
        self._send({"id": self.number, "method": method, "params": params})
        while self._receive().get("id") != self.number:
            pass

    def notify(self, method: str, **params: Any) -> None:
        """Tell."""
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        length = 0
        while line := self.process.stdout.readline().strip():
            if line.lower().startswith(b"content-length"):
                length = int(line.rpartition(b":")[2])
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        return message


def keystrokes(text: str, count: int) -> Iterator[tuple[str, int]]:
    """The text while ` -> relu` is written behind a step and taken back, with the line."""
    lines = text.split("\n")
    place = next(i for i, line in enumerate(lines) if line.lstrip().startswith("conv_bn("))
    written = " -> relu"
    for stroke in range(count):
        length = stroke % (2 * len(written))
        length = min(length, 2 * len(written) - length)
        changed = lines[place] + written[:length] + f" # {stroke}"
        yield "\n".join([*lines[:place], changed, *lines[place + 1 :]]), place


def measured(session: Session, act: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds on the clock, and of the processor."""
    computed, begin = session.processor(), time.perf_counter()
    act()
    clock = time.perf_counter() - begin
    return 1000 * clock, 1000 * (session.processor() - computed)


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=str(zoo_folder() / "inception_v4.cnn"))
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    text = Path(options.file).read_text("utf-8")
    session = Session(text)
    rows: dict[str, list[tuple[float, float]]] = {"findings": [], "completions": []}
    for changed, line in keystrokes(text, options.count):
        time.sleep(PAUSE)
        rows["findings"].append(measured(session, partial(session.change, changed)))
        rows["completions"].append(measured(session, partial(session.complete, line, 4)))
    print(f"{Path(options.file).name}, {options.count} keystrokes, bar {BAR} ms")
    for name, times in rows.items():
        clock, computed = ([t[i] for t in times] for i in (0, 1))
        print(
            f"{name:12} median {statistics.median(clock):6.0f} ms, worst {max(clock):6.0f} ms; "
            f"processor mean {statistics.mean(computed):6.0f} ms"
        )
    session.process.kill()


if __name__ == "__main__":
    main()
