"""Loaded files: what they define and import."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cnndsl.diagnostics import Diagnostic, Severity, Source
from cnndsl.language import tree as ast

NetworkItem: TypeAlias = ast.Definition | ast.Alias


@dataclass(frozen=True, eq=False)
class BlockValue:
    """A block with the file it belongs to."""

    definition: ast.Definition
    unit: Unit

    @property
    def name(self) -> str:
        """The block's name."""
        return self.definition.name.text


@dataclass(eq=False)
class Unit:
    """One loaded file: its tree, and the blocks and networks it defines or imports.

    `defaults_at` gives, for each item, the file's default statements above it; `missing` holds
    the names that would be known but for an error that is reported already. `meanings` gives what
    each name in the tree stands for, by its `id` (see `resolve`). `data` are the hashes of files of
    numbers that networks have read, by their names in the text; `recipes` those of the file's text,
    by the names of networks (see `recipes`).
    """

    source: Source
    tree: ast.File
    findings: list[Diagnostic]
    blocks: dict[str, BlockValue] = field(default_factory=dict)
    networks: dict[str, tuple[Unit, NetworkItem]] = field(default_factory=dict)
    imports: list[Unit] = field(default_factory=list)
    defaults_at: dict[int, list[ast.Default]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    meanings: dict[int, Any] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    recipes: dict[str, Any] = field(default_factory=dict)

    def own_networks(self) -> list[NetworkItem]:
        """The networks that are defined in this file, in order."""
        return [item for unit, item in self.networks.values() if unit is self]

    def all_units(self) -> list[Unit]:
        """This unit and all it imports, each once."""
        found = [self]
        for unit in found:
            found += [u for u in unit.imports if u not in found]
        return found

    def all_findings(self) -> list[Diagnostic]:
        """What is wrong with the text alone, and the errors in what it imports."""
        return [
            found
            for unit in self.all_units()
            for found in unit.findings
            if unit is self or found.severity == Severity.ERROR
        ]

    def hash(self) -> str:
        """SHA-256 of all texts that make up the unit, and of the numbers that they read."""
        texts = sorted(unit.source.text for unit in self.all_units())
        texts += sorted(f"{n}:{sha}" for unit in self.all_units() for n, sha in unit.data.items())
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def is_concrete(item: NetworkItem) -> bool:
    """Whether a network can be built without further arguments."""
    return isinstance(item, ast.Alias) or all(p.default is not None for p in item.parameters)


def definition_of(unit: Unit, item: NetworkItem) -> ast.Definition | None:
    """The definition that a network is a call of, or is itself; None if there is none."""
    seen: list[NetworkItem] = []
    while isinstance(item, ast.Alias) and item not in seen:
        seen.append(item)
        callee = item.call.callee if isinstance(item.call, ast.Call) else item.call
        name = callee.text if isinstance(callee, ast.Name) else ""
        unit, item = unit.networks.get(name, (unit, item))
    return item if isinstance(item, ast.Definition) else None
