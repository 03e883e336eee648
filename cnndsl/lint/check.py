"""All findings about a loaded file: of its text, of each network, and of the graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnndsl.analysis.gridding import gridding
from cnndsl.diagnostics import Diagnostic, Severity
from cnndsl.language.elaborate import Elaborated, elaborate, in_order
from cnndsl.language.units import NetworkItem, Unit, is_concrete
from cnndsl.lint.lints import lint
from cnndsl.lint.selection import Selection


class Check:
    """Builds one network after another; `elaborated` has those that are built, by name."""

    def __init__(self, unit: Unit, selection: Selection | None = None) -> None:
        self.unit = unit
        self.selection = selection or Selection()
        self.elaborated: dict[str, Elaborated] = {}
        self._found = unit.all_findings()

    def steps(self, items: Sequence[NetworkItem] | None = None) -> Iterator[None]:
        """Build the given networks, or all that need no arguments, one in each step."""
        concrete = [item for item in self.unit.own_networks() if is_concrete(item)]
        for item in concrete if items is None else items:
            elaborated = elaborate(self.unit, item)
            self.elaborated[item.name.text] = elaborated
            new = self._about(elaborated)
            known = {(found.code, found.span) for found in self._found}
            self._found += [found for found in new if (found.code, found.span) not in known]
            yield
            if any(found.code == "E0503" for found in new):
                return

    def _about(self, elaborated: Elaborated) -> list[Diagnostic]:
        """What is found about one network: of its graph only if that is whole."""
        found = list(elaborated.findings)
        if all(finding.severity == Severity.WARNING for finding in found):
            found += lint(elaborated.graph, self.selection, elaborated)
        return [*found, *(() if elaborated.findings else gridding(elaborated.graph))]

    def findings(self) -> list[Diagnostic]:
        """What is found so far and wanted, in the order of the text."""
        return in_order(self.selection.wanted(self._found))
