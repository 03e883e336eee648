"""The page as one HTML file, which loads nothing."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64encode
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

SCRIPTS = ("model", "layout", "part", "graph", "keys", "source", "panels", "measured", "main")
"""Parts of one module, in this order."""

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; img-src data:; connect-src {connect}; base-uri 'none'; "
    "form-action 'none'"
)


def page(data: dict[str, Any], *, live: bool = False) -> bytes:
    """The HTML of what `page_data` found, in UTF-8.

    A `live` page asks its own server whether it is still true; no other asks anyone anything.
    """
    parts = {
        "title": escape(data["name"]),
        "policy": POLICY.format(connect="'self'" if live else "'none'"),
        "style": _asset("page.css"),
        "script": "\n".join(_asset(f"{name}.js") for name in SCRIPTS),
        "data": _packed(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()),
        "layout": _layout(),
        "live": "true" if live else "false",
    }
    text = re.sub(r"\{\{(\w+)\}\}", lambda slot: parts[slot[1]], _asset("page.html"))
    return text.encode()


def _asset(name: str) -> str:
    return (files("cnndsl.page") / "assets" / name).read_text("utf-8")


@cache
def _layout() -> str:
    return _packed((files("cnndsl.page") / "vendored/elkjs/elk-worker.min.js").read_bytes())


def _packed(content: bytes) -> str:
    """As text that holds no markup, and the same for the same content."""
    return b64encode(gzip.compress(content, 9, mtime=0)).decode()
