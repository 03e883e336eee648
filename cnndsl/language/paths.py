"""Instance paths: the stable hierarchical names of nodes and weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from cnndsl.diagnostics import Note, Span
from cnndsl.language.messages import Problem


@dataclass
class Path:
    """A place in the tree of instances, which hands out the names inside it.

    `name` is the prefix of node names, `weights` that of parameter names. They differ only where
    a layer is applied again.
    """

    name: str = ""
    weights: str = ""
    taken: dict[str, Span] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def label(self, text: str, span: Span) -> str:
        """Take a chosen name. Raises Problem if it is taken."""
        if text in self.taken:
            message, first = f"the name {text!r} is taken", self.taken[text]
            if first == span:
                hint = "in a loop, put the counter into the label: name{i}: …"
                raise Problem("E0203", f"{message} by an earlier round", span, hint=hint)
            raise Problem("E0203", message, span, notes=[Note("it is taken here", first)])
        self.taken[text] = span
        return text

    def number(self, kind: str, span: Span) -> str:
        """Take the next free numbered name of a kind: conv1, conv2, …; relu6_1."""
        stem = f"{kind}_" if kind[-1].isdigit() else kind
        while True:
            self.counters[kind] = self.counters.get(kind, 0) + 1
            text = f"{stem}{self.counters[kind]}"
            if text not in self.taken:
                self.taken[text] = span
                return text

    def inner(self, name: str, weights: str | None = None) -> Path:
        """The path of a part; its weights are found under its own name unless told otherwise."""
        return Path(join(self.name, name), join(self.weights, weights or name))


def join(prefix: str, name: str) -> str:
    """Two parts of a dotted path, the first may be empty."""
    return f"{prefix}.{name}" if prefix else name
