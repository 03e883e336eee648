"""Names between braces: what declares, reads, changes and hides them, with what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from cnndsl.diagnostics import Diagnostic, Note
from cnndsl.language import tree as ast

CHANGEABLE = ("value", "parameter", "name")
"""What can be given another value: what `let`, a definition or a loop declares."""


@dataclass(eq=False)
class Local:
    """A name that is declared between braces.

    `reads` are the scopes in which it is read; `hiding` are names that hid it, each with the
    scope around the braces that they ended with.
    """

    name: ast.Name
    what: str
    scope: Scope
    reads: list[Scope] = field(default_factory=list)
    hiding: list[tuple[ast.Name, Scope]] = field(default_factory=list)


@dataclass(eq=False)
class Scope:
    """The names inside a pair of braces, in the order of their declaration."""

    outer: Scope | None = None
    is_loop: bool = False
    locals: dict[str, Local] = field(default_factory=dict)
    hiding: list[tuple[Local, ast.Name]] = field(default_factory=list)

    def chain(self) -> Iterator[Scope]:
        """This scope and those around it, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def find(self, name: str) -> Local | None:
        """What a name stands for here, if it was declared."""
        return next((s.locals[name] for s in self.chain() if name in s.locals), None)


class Names:
    """The declared names of one file, with what is wrong with them."""

    def __init__(self, meanings: dict[int, Any], findings: list[Diagnostic]):
        self.meanings = meanings
        self.findings = findings

    def report(self, code: str, message: str, place: ast.Tree, **more: Any) -> None:
        """A finding at a node of the tree."""
        self.findings.append(Diagnostic(code, message, place.span, **more))

    def declare(self, name: ast.Name, scope: Scope, what: str) -> Local:
        """A new name, which holds to the end of its braces. It may be that of an open size."""
        known = scope.locals.get(name.text)
        if known and known.what != "size":
            first = Note("first declared here", known.name.span)
            self.report("E0202", f"{name.text!r} is declared twice", name, notes=(first,))
        local = scope.locals[name.text] = self.meanings[id(name)] = Local(name, what, scope)
        return local

    def let(self, name: ast.Name, scope: Scope) -> None:
        """Declare a kept value. It hides one of the same name, which stays as it is."""
        outer = scope.find(name.text)
        if outer is not None and scope.outer is not None and outer.scope is not scope:
            inside = takewhile(lambda s: s is not outer.scope, scope.chain())
            loops = [s for s in inside if s.is_loop]
            if loops and any(loops[-1] in read.chain() for read in outer.reads):
                self._hidden(outer, name, "every round starts with the outer one again")
            elif loops and loops[-1].outer is not None:
                loops[-1].outer.hiding.append((outer, name))
        self.declare(name, scope, "value")

    def assign(self, name: ast.Name, scope: Scope) -> bool:
        """Give a declared name another value; whether there is such a name."""
        local = scope.find(name.text)
        if local is None:
            return False
        if local.what in CHANGEABLE:
            self.meanings[id(name)] = local
        else:
            message = f"{name.text!r} is the {local.what} of that name, which stays what it is"
            notes = (Note("it is declared here", local.name.span),)
            hint = f"keep the new value under a name of its own: let new_{name.text} = …"
            self.report("E0222", message, name, notes=notes, hint=hint)
        return True

    def read(self, local: Local, scope: Scope) -> None:
        """A name is read; one that hid it in a loop before was perhaps meant to change it."""
        local.reads.append(scope)
        for name, around in list(local.hiding):
            if around in scope.chain():
                local.hiding.remove((name, around))
                self._hidden(local, name, "behind the loop the outer one is read")

    def leave(self, scope: Scope) -> None:
        """The end of an element in a scope: what its loops hid can be read now."""
        for outer, name in scope.hiding:
            outer.hiding.append((name, scope))
        scope.hiding.clear()

    def unused(self, scope: Scope) -> None:
        """At the end of the braces: names that nothing reads."""
        for text, local in scope.locals.items():
            if local.reads or local.what in ("input", "output", "size") or text.startswith("_"):
                continue
            outer = scope.outer.find(text) if scope.outer else None
            hint = "remove it, or start its name with an underscore"
            if outer is not None and local.what == "value" and outer.what in CHANGEABLE:
                hint = f"to change the outer one, leave let out: {text} = …"
            self.report("W0201", f"the {local.what} {text!r} is never used", local.name, hint=hint)

    def _hidden(self, outer: Local, name: ast.Name, remark: str) -> None:
        message = f"this is another {name.text!r}, which ends with its braces: {remark}"
        notes = (Note(f"the {outer.what} of that name stays as it is", outer.name.span),)
        hint = "choose another name"
        if outer.what in CHANGEABLE:
            hint = f"to change the outer one, leave let out: {name.text} = …"
        self.report("W0209", message, name, notes=notes, hint=hint)
