"""Imports go one way: no circle of files, and no room knows one above it.

Imports inside functions and for types alone count as well.
"""

import ast
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1]

ORDER = """
    diagnostics
    ir
    recipes
    language
    format
    decompile
    passes
    analysis
    lint
    memory
    autodiff
    drawing
    page
    notebook
    runtime
    weights
    quantise
    network
    importers
    artefacts
    api
    reference
    edit
    measure
    editor
    train
    distributed
    evaluation
    cli __main__
"""
"""The rooms, each may know those above it in this list, and itself."""

BACKENDS = {
    "numpy": set(),
    "onnx": set(),
    "native": set(),
    "cpu": {"native"},
    "cuda": {"native"},
    "wasm": {"cpu", "native"},
    "torch": set(),
}
"""Rooms beside the API, with those of one another that they know."""

BELOW_BACKENDS = {"diagnostics", "ir", "passes", "runtime", "weights", "memory"}

ROOT_MODULE = "cnndsl"
"""Has the version, which all may know, and hands out the API to those who ask for it."""


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "cnndsl" else ("cnndsl", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports():
    """Which modules each module imports, anywhere in its text."""
    files = {
        module_name(p): p for top in ("cnndsl", "backends") for p in (ROOT / top).rglob("*.py")
    }
    graph = nx.DiGraph()
    graph.add_nodes_from(files)
    for module, path in files.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                named = [f"{node.module}.{alias.name}" for alias in node.names]
                found = [n if n in files else node.module for n in named]
            else:
                names = node.names if isinstance(node, ast.Import) else ()
                found = [alias.name for alias in names]
            graph.add_edges_from((module, n) for n in found if n in files and n != module)
    graph.remove_node(ROOT_MODULE)
    return graph


def room(module):
    parts = module.split(".")
    return f"backends.{parts[2]}" if parts[1:2] == ["backends"] and len(parts) > 2 else parts[1]


def test_no_files_import_one_another():
    circles = [sorted(c) for c in nx.strongly_connected_components(imports()) if len(c) > 1]
    assert circles == []


def test_every_room_has_its_place():
    known = {*ORDER.split(), "backends", "grammars", *(f"backends.{name}" for name in BACKENDS)}
    assert {room(module) for module in imports()} <= known


@pytest.mark.parametrize("name", ORDER.split())
def test_a_room_knows_only_what_is_below_it(name):
    place = {word: rank for rank, line in enumerate(ORDER.split("\n")) for word in line.split()}
    upward = [
        (source, target)
        for source, target in imports().edges
        if room(source) == name and place.get(room(target), len(place)) > place[name]
    ]
    assert upward == []


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_knows_the_core_and_not_the_others(name):
    allowed = {*BELOW_BACKENDS, *(f"backends.{other}" for other in {name, *BACKENDS[name]})}
    found = {room(t) for s, t in imports().edges if room(s) == f"backends.{name}"}
    assert found <= allowed
