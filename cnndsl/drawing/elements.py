"""Elements of SVG files: the same picture gives the same bytes."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

FONT = "Helvetica, Arial, sans-serif"
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def canvas(width: float, height: float) -> Element:
    """An empty white picture, in pixels."""
    picture = Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        width=number(width),
        height=number(height),
        viewBox=f"0 0 {number(width)} {number(height)}",
        style=f"font-family: {FONT}; background: white",
    )
    element(picture, "rect", width=width, height=height, fill="white")
    return picture


def encode(picture: Element) -> bytes:
    """The picture as a file."""
    ElementTree.indent(picture, " ")
    xml: bytes = ElementTree.tostring(picture, encoding="utf-8", xml_declaration=True)
    return xml + b"\n"


def element(parent: Element, tag: str, **attributes: Any) -> Element:
    """Add an element; underscores in names stand for hyphens."""
    given = {
        name.replace("_", "-"): value if isinstance(value, str) else number(value)
        for name, value in attributes.items()
    }
    return SubElement(parent, tag, given)


def text(
    parent: Element, x: float, y: float, content: str, *, size: int, anchor: str = "middle",
    weight: str = "normal", fill: str = "#102027",
) -> Element:  # fmt: skip
    """Add a line of text."""
    line = element(
        parent, "text", x=x, y=y, fill=fill, font_size=size, font_weight=weight,
        text_anchor=anchor,
    )  # fmt: skip
    line.text = clean(content)
    return line


def number(value: float) -> str:
    """At most one decimal, which keeps files small and equal on all machines."""
    return f"{value:.1f}".removesuffix(".0")


def clean(content: str) -> str:
    """Without the characters that XML cannot hold."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", content)
