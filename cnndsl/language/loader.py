"""Texts to units: their imports, and the network that is meant.

An import is looked up beside the importing file, then in the zoo (`networks/`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from cnndsl.diagnostics import CnnError, Diagnostic, Note, Source
from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.parse.parser import parse_with_errors
from cnndsl.language.recipes import read_recipes
from cnndsl.language.resolve import resolve
from cnndsl.language.sources import DISK, Files, read_source, resolved, zoo_folder
from cnndsl.language.units import BlockValue, NetworkItem, Unit, is_concrete

_DEFINED = re.compile(
    r"^(?!recipe\b)[A-Za-z_]\w*[ \t]+([A-Za-z_]\w*(?:[ \t]*,[ \t]*\w+)*)", re.MULTILINE
)
"""What stands behind the keyword of an item, which may be misspelt: one name or several."""


def load_unit(source: Source, files: Files = DISK) -> Unit:
    """A source with everything it imports. Problems are in the units' `findings`."""
    return _Loader(files).load(source, ())


@lru_cache(maxsize=256)
def _parsed(name: str, text: str) -> tuple[Source, ast.File, tuple[Diagnostic, ...]]:
    """A text parsed once, however many files import it."""
    source = Source(name, text)
    tree, errors = parse_with_errors(source)
    return source, tree, tuple(errors)


def concrete_networks(files: Mapping[str, Path]) -> dict[str, tuple[Unit, NetworkItem]]:
    """Of networks by name with their files, such as the zoo, those that need no arguments.

    They are in the order of their names; a file is loaded once for all of its networks.
    """
    units = {file: load_unit(read_source(file)) for file in set(files.values())}
    found = {name: units[file].networks.get(name) for name, file in sorted(files.items())}
    return {name: pair for name, pair in found.items() if pair and is_concrete(pair[1])}


class _Loader:
    def __init__(self, files: Files) -> None:
        self.files = files
        self.units: dict[Path, Unit] = {}

    def load(self, source: Source, importers: tuple[Path, ...]) -> Unit:
        if len(source.text) > limits.FILE_BYTES:
            raise CnnError.of("E0505", f"the text is longer than {limits.FILE_BYTES:,} characters")
        source, tree, errors = _parsed(source.name, source.text)
        unit = Unit(source, tree, list(errors))
        standing: list[ast.Default] = []
        for item in tree.items:
            unit.defaults_at[id(item)] = list(standing)
            match item:
                case ast.Import():
                    self._import(unit, item, importers)
                case ast.Defaults():
                    standing += item.defaults
                case ast.Definition(keyword="block"):
                    self._define(unit, item)
                case ast.Definition() | ast.Alias():
                    self._define_network(unit, item)
        if errors:
            for names in _DEFINED.findall(source.text):
                unit.missing.update(re.split(r"[ \t]*,[ \t]*", names))
        resolve(unit)
        read_recipes(unit)
        return unit

    def _define(self, unit: Unit, item: ast.Definition) -> None:
        if self._is_new(unit, item.name):
            unit.blocks[item.name.text] = BlockValue(item, unit)

    def _define_network(self, unit: Unit, item: NetworkItem) -> None:
        if self._is_new(unit, item.name):
            unit.networks[item.name.text] = (unit, item)

    def _is_new(self, unit: Unit, name: ast.Name) -> bool:
        block, network = unit.blocks.get(name.text), unit.networks.get(name.text)
        if block is None and network is None:
            return True
        first = block.definition.name if block else network[1].name if network else name
        unit.findings.append(
            Diagnostic(
                "E0202",
                f"{name.text!r} is defined twice",
                name.span,
                notes=(Note("first defined here", first.span),),
            )
        )
        return False

    def _import(self, unit: Unit, item: ast.Import, importers: tuple[Path, ...]) -> None:
        other = self._imported(unit, item, importers)
        if other is None:
            unit.missing.update(name.text for name in item.names)
            return
        unit.imports.append(other)
        for name in item.names:
            self._import_name(unit, other, name)

    def _imported(self, unit: Unit, item: ast.Import, importers: tuple[Path, ...]) -> Unit | None:
        """The unit that an import names, or None with an error in the importing unit."""
        path = imported_file(unit.source, str(item.path.value), self.files)
        if path is None:
            hint = did_you_mean(str(item.path.value), [p.name for p in zoo_folder().glob("*.cnn")])
            message = f"cannot find {item.path.value!r} beside this file or in the zoo"
            unit.findings.append(Diagnostic("E0218", message, item.path.span, hint))
            return None
        own = resolved(unit.source.name)
        chain = (*importers, own)
        if path in chain:
            names = " -> ".join(p.name for p in (*chain[chain.index(path) :], path))
            unit.findings.append(Diagnostic("E0216", f"imports go in a circle: {names}", item.span))
            return None
        try:
            if path not in self.units:
                display = Path(unit.source.name).parent / str(item.path.value)
                loaded = self.files.read(display if self.files.has(display) else path)
                self.units[path] = self.load(loaded, chain)
        except CnnError as error:
            unit.findings += [
                Diagnostic(d.code, d.message, item.path.span, d.hint) for d in error.diagnostics
            ]
            return None
        return self.units[path]

    def _import_name(self, unit: Unit, other: Unit, name: ast.Name) -> None:
        known = {*other.blocks, *other.networks}
        if name.text not in known:
            unit.missing.add(name.text)
            if name.text not in other.missing:
                message = f"{other.source.name} has no block or network {name.text!r}"
                hint = did_you_mean(name.text, known)
                unit.findings.append(Diagnostic("E0219", message, name.span, hint))
        elif self._is_new(unit, name):
            if name.text in other.blocks:
                unit.blocks[name.text] = other.blocks[name.text]
            else:
                unit.networks[name.text] = other.networks[name.text]


def imported_file(source: Source, name: str, files: Files = DISK) -> Path | None:
    """The file that a text means by a name, beside it or in the zoo; None if there is none."""
    return next(filter(files.has, import_places(source, name)), None)


def import_places(source: Source, name: str) -> list[Path]:
    """Where a text looks for what it imports, in this order."""
    beside = [] if source.name == "<text>" else [Path(source.name).parent]
    return [resolved(folder / name) for folder in (*beside, zoo_folder())]


def sought(unit: Unit) -> set[Path]:
    """Where files are looked for that a unit imports, and those that they import."""
    return {
        path
        for each in unit.all_units()
        for item in each.tree.items
        if isinstance(item, ast.Import)
        for path in import_places(each.source, str(item.path.value))
    }


def choose_network(unit: Unit, name: str | None) -> NetworkItem:
    """The network of a unit by name, or the one it is about. Raises CnnError.

    Without a name: the network that is named like the file, else the only one that needs no
    arguments.
    """
    file = unit.source.name
    stem = Path(file).stem
    concrete = [i.name.text for i in unit.own_networks() if is_concrete(i)]
    if name is None:
        if stem in unit.networks and (stem in concrete or not concrete):
            name = stem
        elif len(concrete) == 1:
            name = concrete[0]
        elif concrete:
            shown = ", ".join(concrete[:8]) + (", …" if len(concrete) > 8 else "")
            raise CnnError.of(
                "E0215",
                f"{file} holds {len(concrete)} networks: {shown}",
                hint=f"name one: {file}:{concrete[0]}",
                file=file,
            )
        else:
            message = f"{file} holds no network that can be built"
            raise CnnError.of("E0215", message, file=file)
    if name not in unit.networks:
        known = [n for n, (_, i) in unit.networks.items() if is_concrete(i)] or list(unit.networks)
        hint = did_you_mean(name, known) or f"it has: {', '.join(known) or 'none'}"
        raise CnnError.of("E0215", f"{file} has no network {name!r}", hint=hint, file=file)
    return unit.networks[name][1]
