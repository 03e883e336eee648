"""The text of a module: its classes, and copies of what PyTorch lacks."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import groupby
from pathlib import Path

from cnndsl.backends.torch.classes import Class, Classes, constructor
from cnndsl.backends.torch.forward import Forward, Statement, input_names, variable_names
from cnndsl.backends.torch.instances import Instance, Instances, Made
from cnndsl.backends.torch.layout import wrapped
from cnndsl.backends.torch.names import class_name, is_attribute
from cnndsl.backends.torch.plain import PlainGraph, module_path
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph

LIBRARY = ("layers", "convolution", "functions")
INDENT = "    "
KINDS = ("", "chain", "group", "if", "loop", "iteration", "auxiliary")
"""What scopes are that are no instances of blocks."""


def source_of(found: PlainGraph) -> str:
    """The text of `model.py` for a graph. Its state dict has the names of the graph's parameters.

    The class of the network is the last one.
    """
    writer = _Writer(found)
    classes = [text for made in writer.classes for text in ["", "", *writer.written(made)]]
    body = "\n".join(classes)
    needed = [f"\n\n{text}" for text in library_parts(body)]
    return _head(found.graph, writer, "".join([*needed, body])) + "".join(needed) + body + "\n"


def _head(graph: Graph, writer: _Writer, text: str) -> str:
    """The docstring and the imports that a text needs."""
    inputs = ", ".join(f"{name} [batch, {', '.join(map(str, graph[name].type.shape))}]"
                       for name in graph.inputs)  # fmt: skip
    photos = "".join(
        f" A photo becomes {name} by {photo.text(graph[name].type)}."
        for name, photo in graph.photos.items()
    )
    about = "\n".join(_filled(f"Takes {inputs}.{photos}"))
    lines = [f'"""{graph.name}, written by cnndsl.', "", about, '"""', ""]
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    standard = [
        ("Callable", "from collections.abc import Callable"),
        ("Sequence", "from collections.abc import Sequence"),
        ("Fraction", "from fractions import Fraction"),
        ("reduce", "from functools import reduce"),
        ("Any", "from typing import Any"),
    ]
    imports = ["import math"] * ("math" in names)
    used = [line for name, line in standard if name in names]
    if {"Callable", "Sequence"} <= names:
        used[:2] = ["from collections.abc import Callable, Sequence"]
    torch = ["import torch"] * ("torch" in names)
    torch.append("from torch import Tensor, nn" if "Tensor" in names else "from torch import nn")
    torch += ["from torch.nn import functional as F"] * ("F" in names)
    groups = [g for g in ([*imports, *used], torch) if g]
    return "\n".join(lines) + "\n" + "\n\n".join("\n".join(group) for group in groups) + "\n"


def _filled(line: str) -> list[str]:
    import textwrap

    return textwrap.wrap(line, 100)


class _Writer:
    """Writes the classes of a graph."""

    def __init__(self, found: PlainGraph):
        self.found = found
        self.graph = found.graph
        self.instances = Instances(found.graph)
        self.root = self.instances.root()
        self.taken = {*library(), "nn", "F", "torch", "Tensor", "Any", "Fraction", "Callable",
                      "Sequence", "math", "reduce"}  # fmt: skip
        self.places = {module_path(i.path) for i in self.instances.all}
        self.classes = Classes(self.instances.all, self._class_name)

    def _class_name(self, instance: Instance) -> str:
        """The name of a block, or of the part, with a number if it is taken."""
        words = [word for word in module_path(instance.path).split(".") if not word.isdigit()]
        name = instance.kind
        if instance is self.root:
            name = self.graph.name
        elif name in KINDS:
            name = words[-1] if words else "part"
            name += "_round" if instance.path.rpartition(".")[2].isdigit() else ""
        wanted = unique = class_name(name)
        number = 1
        while unique in self.taken:
            number += 1
            unique = f"{wanted}{'_' if wanted[-1].isdigit() else ''}{number}"
        self.taken.add(unique)
        return unique

    def written(self, made: Class) -> list[str]:
        """The lines of a class."""
        lines = [f"class {made.name}(nn.Module):", *self._docstring(made), ""]
        parameters = "".join(f", {name}" for name in made.parameters)
        lines += wrapped(f"def __init__(self{parameters}):", 1)
        lines.append(f"{INDENT * 2}super().__init__()")
        for name in made.kept:
            lines.append(f"{INDENT * 2}self.{name} = {name}")
        for line in self._constructors(made):
            lines += wrapped(line, 2)
        if made.first is self.root:
            lines += [f"{INDENT * 2}{line}" for line in self._ties()]
        return [*lines, "", *self._forward(made)]

    def _docstring(self, made: Class) -> Iterator[str]:
        first = made.first
        if first is self.root:
            what = f"network {self.graph.name}"
        elif first.kind in KINDS:
            what = f"`{module_path(first.path)}`"
        else:
            what = f"block {first.kind}"
        place = _place(first)
        yield f'{INDENT}"""{what[0].upper()}{what[1:]}{place}"""'

    def _constructors(self, made: Class) -> Iterator[str]:
        """A line for each module, or for each container of modules."""
        tree: dict[str, object] = {}
        for index, step in enumerate(made.first.steps):
            if step.is_shared or not (step.layer.module or step.children):
                continue
            *outer, last = words = made.first.inside(step)
            if "training" in words:
                raise CnnError.of("E0751", f"a PyTorch module cannot have a part {step.module!r}")
            inner = tree
            for word in outer:
                inner = inner.setdefault(word, {})  # type: ignore[assignment]
            inner[last] = constructor(self.classes, made, index)
        for name, value in tree.items():
            text = value if isinstance(value, str) else _parts(value)
            target = f"self.{name}" if is_attribute(name) else f"self._modules[{name!r}]"
            yield f"{target} = {text}"

    def _ties(self) -> Iterator[str]:
        for name, first in self.found.ties():
            (path, role), (other, other_role) = name.rsplit(".", 1), first.rsplit(".", 1)
            target = f"self.get_submodule({path!r}).{role}"
            yield f"{target} = self.get_submodule({other!r}).{other_role}"

    def _own(self, first: Instance, step: Made) -> str:
        """A module as seen from the class of an instance."""
        parent, text = module_path(first.path), "self"
        for word in first.inside(step):
            if parent in self.instances.rows:
                text += f"[{word}]"
            elif parent in self.places or parent == "":
                text += f".{word}" if is_attribute(word) else f"._modules[{word!r}]"
            else:
                text += f"[{word!r}]"
            parent = f"{parent}.{word}" if parent else word
        return text

    def _forward(self, made: Class) -> list[str]:
        first, is_root = made.first, made.first is self.root
        names = input_names(len(first.inputs))
        if is_root:
            names = variable_names(first.inputs, library())
        forward = Forward(made, lambda step: self._own(first, step), names)
        single = len(first.results) == 1
        lines, results = forward.statements(inlined_result=single)
        text = wrapped(f"def forward(self, {', '.join(names)}):" if names else
                       "def forward(self):", 1)  # fmt: skip
        # What a caller calls in training alone has nothing to tell apart inside.
        apart = is_root or not all(step.training for step in first.steps if not step.dead)
        text += _lines(lines, apart)
        if is_root and not single:
            return text + list(self._returned(results))
        return text + wrapped(f"return {', '.join(results)}", 2)

    def _returned(self, results: list[str]) -> Iterator[str]:
        """Outputs by name, with the auxiliary ones in training; alone at inference as it is."""
        names = [*self.graph.outputs, *self.graph.auxiliaries]
        known = dict(zip(names, results, strict=True))
        shown = {n: f"{{{', '.join(f'{k!r}: {known[k]}' for k in n)}}}"
                 for n in (tuple(names), tuple(self.graph.outputs))}  # fmt: skip
        if self.graph.auxiliaries:
            yield f"{INDENT * 2}if self.training:"
            yield from wrapped(f"return {shown[tuple(names)]}", 3)
        outputs = tuple(self.graph.outputs)
        yield from wrapped(f"return {results[0] if len(outputs) == 1 else shown[outputs]}", 2)


def _lines(statements: Iterable[Statement], apart: bool) -> list[str]:
    """Lines of statements, with what acts in training alone set `apart`."""
    found: list[str] = []
    for training, run in groupby(statements, key=lambda item: apart and item.training):
        found += [f"{INDENT * 2}if self.training:"] * training
        for statement in run:
            found += wrapped(statement.text, 3 if training else 2)
    return found


def _parts(tree: object) -> str:
    """A container of modules, and of such containers."""
    assert isinstance(tree, dict)
    texts = {name: v if isinstance(v, str) else _parts(v) for name, v in tree.items()}
    if all(name.isidentifier() and is_attribute(name) for name in texts):
        return f"Parts({', '.join(f'{name}={text}' for name, text in texts.items())})"
    return f"Parts(**{{{', '.join(f'{name!r}: {text}' for name, text in texts.items())}}})"


def _place(instance: Instance) -> str:
    """Where in a text a part is written: the lines of its operators."""
    spans = [span for node in instance.nodes for span in node.spans]
    if not spans:
        return "."
    file = spans[0].source
    lines = [span.line for span in spans if span.source is file]
    name = Path(file.name).name if "\n" not in file.name else "the text"
    low, high = min(lines), max(lines)
    return f" ({name}, line {low})." if low == high else f" ({name}, lines {low} to {high})."


def library_parts(text: str) -> list[str]:
    """The definitions of the library that a text uses, and those that these use, in its order."""
    known = library()
    needed: set[str] = set()
    pending = [text]
    while pending:
        for name in _names(pending.pop()) & known.keys():
            if name not in needed:
                needed.add(name)
                pending.append(known[name])
    return [definition for name, definition in known.items() if name in needed]


def _names(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


@cache
def library() -> Mapping[str, str]:
    """The functions and classes of the library by name, with their texts."""
    found: dict[str, str] = {}
    for file in LIBRARY:
        path = Path(__file__).parent / "library" / f"{file}.py"
        text = path.read_text("utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] = "\n".join(lines[node.lineno - 1 : node.end_lineno]) + "\n"
    return found
