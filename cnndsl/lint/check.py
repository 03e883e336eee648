"""All findings about a loaded file: of its text, of each network, and of the graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnndsl.analysis.gridding import gridding
from cnndsl.diagnostics import Diagnostic
from cnndsl.language.elaborate import Elaborated, elaborate, in_order
from cnndsl.language.units import NetworkItem, Unit, is_concrete


class Check:
    """Builds one network after another; `elaborated` has those that are built, by name."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.elaborated: dict[str, Elaborated] = {}
        self._found = unit.all_findings()

    def steps(self, items: Sequence[NetworkItem] | None = None) -> Iterator[None]:
        """Build the given networks, or all that need no arguments, one in each step."""
        concrete = [item for item in self.unit.own_networks() if is_concrete(item)]
        for item in concrete if items is None else items:
            elaborated = elaborate(self.unit, item)
            self.elaborated[item.name.text] = elaborated
            new = elaborated.findings or gridding(elaborated.graph)
            known = {(found.code, found.span) for found in self._found}
            self._found += [found for found in new if (found.code, found.span) not in known]
            yield
            if any(found.code == "E0503" for found in new):
                return

    def findings(self) -> list[Diagnostic]:
        """What is found so far, in the order of the text."""
        return in_order(self._found)
