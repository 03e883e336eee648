"""A page served to the browsers of this machine, which follows the files that it is made from.

It listens on the loopback interface alone. Every address begins with a token that cannot be
guessed; requests that another site's page makes, or that come under another host's name (DNS
rebinding), are refused.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.language.loader import load_unit, sought
from cnndsl.language.locate import locate
from cnndsl.page.data import page_data
from cnndsl.page.html import page
from cnndsl.page.measured import Data

HOST = "127.0.0.1"
Stamp: TypeAlias = tuple[int, int, int] | None
"""When a file was written, its size and which it is; None if there is none."""

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Live:
    """The page of a graph that is made anew when a file changes that it is made from.

    `measured` are the times and errors that `page_data` takes. While the files are wrong, the page
    is that of before, and `problem` says what is wrong; files that are missing may come.
    Raises CnnError if they are at first.
    """

    def __init__(self, spec: str, make: Callable[[], Graph], **measured: Data | None):
        self._spec, self._make, self._lock = spec, make, Lock()
        self._measured = measured
        self.problem, self.version = "", 0
        self._stamps: dict[Path, Stamp] = {}
        self._build()

    def _build(self) -> None:
        self._stamps |= {path: _stamp(path) for path in _files(self._spec)}
        graph = self._make()
        self.content = page(page_data(graph, **self._measured), live=True)
        self.version += 1

    def refresh(self) -> None:
        """Make the page anew if a file is another."""
        with self._lock:
            stamps = {path: _stamp(path) for path in self._stamps}
            if stamps == self._stamps:
                return
            self._stamps = stamps
            try:
                self._build()
                self.problem = ""
            except CnnError as error:
                self.problem = str(error)


def _files(spec: str) -> set[Path]:
    """The files that a network is made from, and where they would be."""
    found = {Path(name) for name in (spec, spec.rpartition(":")[0]) if name}
    try:
        source, _ = locate(spec)
        return {*found, Path(source.name), *sought(load_unit(source))}
    except CnnError:  # a model, or a text that cannot be read now
        return found


def _stamp(path: Path) -> Stamp:
    try:
        known = path.stat()
    except (OSError, ValueError):
        return None
    return known.st_mtime_ns, known.st_size, known.st_ino


@contextmanager
def server(live: Live, port: int = 0) -> Iterator[tuple[ThreadingHTTPServer, str]]:
    """A server that is not yet running, and the address of the page. Raises CnnError (E0602)."""
    token = secrets.token_urlsafe(24)
    try:
        found = ThreadingHTTPServer((HOST, port), _handler(live, f"/{token}/"))
    except OSError as error:
        raise CnnError.of("E0602", f"cannot listen on port {port}: {error.strerror}") from None
    found.daemon_threads = True
    with found:
        yield found, f"http://{HOST}:{found.server_port}/{token}/"


def _handler(live: Live, root: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self._is_ours():
                self.send_error(403)
            elif hmac.compare_digest(self.path.encode(), root.encode()):
                live.refresh()
                self._send("text/html; charset=utf-8", live.content)
            elif hmac.compare_digest(self.path.encode(), f"{root}version".encode()):
                live.refresh()
                answer = {"version": live.version, "problem": live.problem}
                self._send("application/json", json.dumps(answer).encode())
            else:
                self.send_error(404)

        def _is_ours(self) -> bool:
            """Whether it comes from this page, or from a person who opens it."""
            assert isinstance(self.server, ThreadingHTTPServer)
            hosts = [f"{name}:{self.server.server_port}" for name in (HOST, "localhost")]
            origin = self.headers.get("Origin")
            site = self.headers.get("Sec-Fetch-Site", "none")
            return (
                self.headers.get("Host") in hosts
                and (origin is None or origin.removeprefix("http://") in hosts)
                and site in ("none", "same-origin")
            )

        def _send(self, kind: str, content: bytes) -> None:
            self.send_response(200)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
