"""Files to units: reading, imports, and what a network's name refers to.

An import is looked up beside the importing file, then in the zoo (`networks/`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from cnndsl.diagnostics import CnnError, Diagnostic, Note, Source
from cnndsl.language import limits
from cnndsl.language import syntax as ast
from cnndsl.language.parser import parse_with_errors
from cnndsl.language.problem import did_you_mean
from cnndsl.language.values import BlockValue

_DEFINED = re.compile(r"^(?:block|network)[ \t]+([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)
_NETWORK_LINE = re.compile(r"^network[ \t]+([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)

NetworkItem: TypeAlias = ast.Definition | ast.Alias


@dataclass(eq=False)
class Unit:
    """One loaded file: its tree, and the blocks and networks it defines or imports.

    `defaults_at` gives, for each item, the file's default statements above it; `missing` holds
    the names that would be known but for an error that is reported already.
    """

    source: Source
    tree: ast.File
    errors: list[Diagnostic]
    blocks: dict[str, BlockValue] = field(default_factory=dict)
    networks: dict[str, tuple[Unit, NetworkItem]] = field(default_factory=dict)
    imports: list[Unit] = field(default_factory=list)
    defaults_at: dict[int, list[ast.Default]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def own_networks(self) -> list[NetworkItem]:
        """The networks that are defined in this file, in order."""
        return [item for unit, item in self.networks.values() if unit is self]

    def all_units(self) -> list[Unit]:
        """This unit and all it imports, each once."""
        found = [self]
        for unit in found:
            found += [u for u in unit.imports if u not in found]
        return found

    def hash(self) -> str:
        """SHA-256 of all texts that make up the unit."""
        texts = sorted(unit.source.text for unit in self.all_units())
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def zoo_folder() -> Path:
    """The folder of the standard networks and blocks."""
    with resources.as_file(resources.files("cnndsl.networks")) as folder:
        return Path(folder)


@cache
def zoo() -> dict[str, Path]:
    """Every network of the zoo, by name, with its file. A file named like its network wins."""
    found: dict[str, Path] = {}
    for path in sorted(zoo_folder().rglob("*.cnn")):
        for name in _NETWORK_LINE.findall(path.read_text("utf-8")):
            if name not in found or path.stem == name:
                found[name] = path
    return found


def locate(spec: str) -> tuple[Source, str | None]:
    """The source that a network's name refers to, and the network in it if one is named.

    A spec is a path, `path:network`, the name of a zoo network, or source text (recognised by a
    brace). A path `folder/NAME.cnn` that does not exist means the network NAME of another file
    in that folder. Raises CnnError.
    """
    if "{" in spec or "\n" in spec:
        return Source("<text>", spec), None
    path, _, name = spec.partition(":") if ".cnn:" in spec else (spec, "", "")
    if Path(path).is_file():
        return read_source(Path(path)), name or None
    if not path.endswith(".cnn") and "/" not in path and path in zoo():
        return read_source(zoo()[path]), path
    for sibling in sorted(Path(path).parent.glob("*.cnn")) if path.endswith(".cnn") else ():
        if not name and Path(path).stem in _NETWORK_LINE.findall(_peek(sibling)):
            return read_source(sibling), Path(path).stem
    what = "file" if path.endswith(".cnn") or "/" in path else "network or file"
    candidates = [*zoo(), *(str(p) for p in Path(path).parent.glob("*.cnn"))]
    raise CnnError.of("E0601", f"no {what} {path!r}", hint=did_you_mean(path, candidates))


def _peek(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def read_source(path: Path) -> Source:
    """The text of a file. Raises CnnError if it cannot be read, or is too large to be one."""
    try:
        if path.stat().st_size > limits.FILE_BYTES:
            raise CnnError.of("E0505", f"{path} is larger than {limits.FILE_BYTES:,} bytes")
        return Source(str(path), path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise CnnError.of(
            "E0603", f"{path} is not a text in UTF-8 (byte {error.start} is wrong)"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CnnError.of("E0601", f"cannot read {path}: {reason}") from None


def load_unit(source: Source) -> Unit:
    """A source with everything it imports. Problems are in the units' `errors`."""
    return _Loader().load(source, ())


@lru_cache(maxsize=256)
def _parsed(name: str, text: str) -> tuple[Source, ast.File, tuple[Diagnostic, ...]]:
    """A text parsed once, however many files import it."""
    source = Source(name, text)
    tree, errors = parse_with_errors(source)
    return source, tree, tuple(errors)


class _Loader:
    def __init__(self) -> None:
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
            unit.missing.update(_DEFINED.findall(source.text))
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
        unit.errors.append(
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
        path = self._find(unit, str(item.path.value))
        if path is None:
            hint = did_you_mean(str(item.path.value), [p.name for p in zoo_folder().glob("*.cnn")])
            message = f"cannot find {item.path.value!r} beside this file or in the zoo"
            unit.errors.append(Diagnostic("E0218", message, item.path.span, hint))
            return None
        own = Path(unit.source.name).resolve()
        chain = (*importers, own)
        if path in chain:
            names = " -> ".join(p.name for p in (*chain[chain.index(path) :], path))
            unit.errors.append(Diagnostic("E0216", f"imports go in a circle: {names}", item.span))
            return None
        try:
            if path not in self.units:
                display = Path(unit.source.name).parent / str(item.path.value)
                loaded = read_source(display if display.is_file() else path)
                self.units[path] = self.load(loaded, chain)
        except CnnError as error:
            unit.errors += [
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
                unit.errors.append(Diagnostic("E0219", message, name.span, hint))
        elif self._is_new(unit, name):
            if name.text in other.blocks:
                unit.blocks[name.text] = other.blocks[name.text]
            else:
                unit.networks[name.text] = other.networks[name.text]

    @staticmethod
    def _find(unit: Unit, name: str) -> Path | None:
        folders = [zoo_folder()]
        if unit.source.name != "<text>":
            folders.insert(0, Path(unit.source.name).parent)
        for folder in folders:
            try:
                path = (folder / name).resolve()
                if path.is_file():
                    return path
            except (OSError, ValueError):
                continue
        return None


def is_concrete(item: NetworkItem) -> bool:
    """Whether a network can be built without further arguments."""
    return isinstance(item, ast.Alias) or all(p.default is not None for p in item.parameters)


def choose_network(unit: Unit, name: str | None) -> tuple[Unit, NetworkItem]:
    """The network of a unit by name, or the one it is about. Raises CnnError.

    Without a name: the network that is named like the file, else the only one that needs no
    arguments.
    """
    stem = Path(unit.source.name).stem
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
                f"{unit.source.name} holds {len(concrete)} networks: {shown}",
                hint=f"name one: {unit.source.name}:{concrete[0]}",
            )
        else:
            raise CnnError.of("E0215", f"{unit.source.name} holds no network that can be built")
    if name not in unit.networks:
        hint = did_you_mean(name, unit.networks) or f"it has: {', '.join(unit.networks) or 'none'}"
        raise CnnError.of("E0215", f"{unit.source.name} has no network {name!r}", hint=hint)
    return unit.networks[name]


def iter_files(path: Path) -> Iterator[Path]:
    """The `.cnn` files of a folder, deep, in order; a file is itself."""
    yield from sorted(path.rglob("*.cnn")) if path.is_dir() else (path,)
