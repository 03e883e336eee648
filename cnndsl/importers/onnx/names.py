"""Names of nodes, from those that an exporter gave to nodes and weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_ROLES = re.compile(
    r"[._/](weights?(_bias)?|bias(es)?|kernel|gamma|beta|scale|moving_(mean|variance)|running_(mean|var)"
    r"|mean|var|[wbsWB]|riv|rm)(_?[0-9]+)?(:0)?$"
)
"""What the name of a weight ends with, behind that of its layer."""

_NUMBER = re.compile(r"(\w+::\w*|val|tensor|[a-z]{0,2})_?[0-9.]+$")
"""Names that only count, as exporters give them to what had none."""


class Names:
    """The names that are taken, and where in the model's modules the nodes were, as far as said."""

    def __init__(self) -> None:
        self._used: Counter[str] = Counter()
        self.paths: dict[str, tuple[str, ...]] = {}

    def taken(self, name: str) -> str:
        """The name, with a number if there is one like it already."""
        wanted = name
        while self._used[wanted]:
            self._used[name] += 1
            wanted = f"{name}_{self._used[name]}"
        self._used[wanted] += 1
        return wanted

    def node(self, label: str, operator: str, weights: Sequence[str]) -> str:
        """A name for a node: that of its weights' layer, that of the model's node, or its kind."""
        layers = {_ROLES.sub("", name) for name in weights if _ROLES.search(name)}
        layer = path_of(layers.pop()) if len(layers) == 1 else ""
        path = layer or stem(label)
        name = self.taken(path or f"{operator}{1 + self._count(operator)}")
        if layer or "." in path:
            self.paths[name] = tuple(path.split("."))
        return name

    def _count(self, operator: str) -> int:
        key = f" {operator}"
        self._used[key] += 1
        return self._used[key] - 1


def is_weight(name: str) -> bool:
    """Whether a name is that of a layer with a role behind it."""
    return bool(_ROLES.search(name))


def stem(name: str) -> str:
    """A name as a path of the language; empty for a mere number."""
    return "" if _NUMBER.match(name) else path_of(name)


def path_of(name: str) -> str:
    """A name as a path of the language.

    PyTorch's exporter writes `/layer1/layer1.0/conv1/Conv`: what repeats the part before it is
    kept once.
    """
    parts: list[str] = []
    for part in name.split("/"):
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(part)
    path = ".".join(filter(None, parts))
    clean = re.sub(r"[^A-Za-z0-9_.]+", "_", path)
    words = [word for word in clean.split(".") if word.strip("_")]
    text = ".".join(words)
    return f"n{text}" if text[:1].isdigit() else text


def identifier(name: str) -> str:
    """A name as one word of the language; empty for a mere number."""
    return stem(name).replace(".", "_")
