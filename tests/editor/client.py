"""A client that speaks the language server protocol to a real process, by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PUBLISH = "textDocument/publishDiagnostics"
COMMAND = (sys.executable, "-m", "cnndsl", "lsp")


class Client:
    """One process; `request` waits for its answer, notifications are kept until they are asked for.

    Offsets are characters of texts without any beyond the basic plane.
    """

    def __init__(self, folder: Path, encoding: str = "utf-16", options: Any = None) -> None:
        self.process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder
        )
        self.folder = folder
        self.number = 0
        self.versions: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.notes: list[dict[str, Any]] = []
        self.capabilities = self.request(
            "initialize",
            processId=None,
            rootUri=folder.as_uri(),
            capabilities={
                "general": {"positionEncodings": [encoding]},
                "workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}},
            },
            initializationOptions=options,
            workspaceFolders=[{"uri": folder.as_uri(), "name": "test"}],
        )["capabilities"]
        self.notify("initialized")

    def request(self, method: str, **params: Any) -> Any:
        """The result of a request. Raises RuntimeError with the message of an error."""
        self.number += 1
        self._send({"id": self.number, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self.number and "method" not in message:
                if "error" in message:
                    raise RuntimeError(message["error"]["message"])
                return message["result"]
            self.notes.append(message)

    def notify(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def open(self, name: str, text: str) -> list[dict[str, Any]]:
        """Open a text, or change it, and wait for its findings."""
        uri = self.uri(name)
        self.texts[name] = text
        self.notes.clear()
        if uri not in self.versions:
            self.versions[uri] = 1
            document = {"uri": uri, "languageId": "cnn", "version": 1, "text": text}
            self.notify("textDocument/didOpen", textDocument=document)
        else:
            self.versions[uri] += 1
            document = {"uri": uri, "version": self.versions[uri]}
            changes = [{"text": text}]
            self.notify("textDocument/didChange", textDocument=document, contentChanges=changes)
        return self.findings(name)

    def close(self, name: str) -> None:
        self.notes.clear()
        self.notify("textDocument/didClose", textDocument={"uri": self.uri(name)})
        self.versions.pop(self.uri(name))

    def findings(self, name: str) -> list[dict[str, Any]]:
        """The next findings of a text that the server sends."""
        while True:
            for note in self.notes:
                params = note.get("params", {})
                if note.get("method") == PUBLISH and params["uri"] == self.uri(name):
                    self.notes.remove(note)
                    found: list[dict[str, Any]] = params["diagnostics"]
                    return found
            self.notes.append(self._receive())

    def at(self, method: str, name: str, offset: int, **more: Any) -> Any:
        """A request about a character of a text."""
        return self.request(
            f"textDocument/{method}",
            textDocument={"uri": self.uri(name)},
            position=self.position(name, offset),
            **more,
        )

    def about(self, method: str, name: str, **more: Any) -> Any:
        """A request about a whole text."""
        return self.request(f"textDocument/{method}", textDocument={"uri": self.uri(name)}, **more)

    def position(self, name: str, offset: int) -> dict[str, int]:
        before = self.texts[name][:offset]
        return {"line": before.count("\n"), "character": offset - (before.rfind("\n") + 1)}

    def span(self, name: str, place: dict[str, Any]) -> str:
        """The text of a range."""
        lines = self.texts[name].split("\n")
        first, last = place["start"], place["end"]
        if first["line"] == last["line"]:
            return lines[first["line"]][first["character"] : last["character"]]
        inner = lines[first["line"] + 1 : last["line"]]
        head, tail = lines[first["line"]], lines[last["line"]]
        return "\n".join([head[first["character"] :], *inner, tail[: last["character"]]])

    def uri(self, name: str) -> str:
        return name if name.startswith("untitled:") else (self.folder / name).as_uri()

    def stop(self) -> int:
        """End the process as editors do; returns its exit code."""
        self.request("shutdown")
        self.notify("exit")
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout
        length = 0
        while line := self.process.stdout.readline().strip():
            key, _, value = line.partition(b":")
            if key.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        return message
