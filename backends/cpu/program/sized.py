"""Programs of open sizes at known ones: the memory plan, and the numbers that steps are given.

That needs neither TVM nor a compiler: kernels serve all sizes, and were chosen before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen.extents import computed, formula_to_json
from cnndsl.backends.cpu.codegen.layout import CACHE_LINE, Halo, Layout
from cnndsl.backends.cpu.program.lower import (
    Program,
    located,
    memory_plan,
    planned_floats,
    require_addressable,
    run_steps,
)
from cnndsl.backends.cpu.program.tables import layer_of, tensors_of
from cnndsl.backends.native.packing import FLOAT, packed_size
from cnndsl.backends.native.task import tap_tables
from cnndsl.ir.dims import Dim, at
from cnndsl.ir.expressions import Constant
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Resize
from cnndsl.ir.serialise import dim_from_json, dim_to_json
from cnndsl.ir.sizes import at_sizes

PREPARED, SHARED = "prepared.json", "open.so"
"""The files of kernels that serve all sizes: the graph of their steps, and the code."""


@dataclass(frozen=True)
class OpenStep:
    """What is known of a step whatever the sizes.

    `sizes` are the numbers of the dimensions that it is given, `scratch` a formula of these, as
    JSON. `use` is how its result gets to its place, for which its code is made.
    """

    node: str
    family: str
    sizes: tuple[int, ...]
    scratch: Any
    use: str
    tables: tuple[str, ...] = ()
    weights: int = 0


@dataclass(frozen=True)
class OpenProgram:
    """A program of open sizes.

    `graph` is the prepared one, `layouts` has block and halo by node.
    """

    graph: Graph
    layouts: Mapping[str, tuple[int, Halo]]
    dims: tuple[Dim, ...]
    steps: tuple[OpenStep, ...]
    lanes: int

    def at(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        """What a module needs of the program for known sizes, as values of JSON.

        Raises CnnError as `at_sizes` does, ValueError if the kernels do not fit the memory plan.
        """
        graph = at_sizes(self.graph, sizes)
        layouts = {node.name: self._layout(node) for node in graph.nodes()}
        require_addressable(layout.size for layout in layouts.values())
        _, memory = memory_plan(self.graph, layouts, 1, self.lanes)
        uses = [(name, str(memory.use(name))) for name in run_steps(self.graph, memory)]
        if uses != [(step.node, step.use) for step in self.steps]:
            raise ValueError("tensors share memory in another way")
        scratch_start = planned_floats(memory)
        numbers: list[int] = []
        tables: list[float] = []
        layers = []
        scratch = 0
        for step in self.steps:
            node = graph[step.node]
            call, output, inputs = located(graph, node, layouts, memory)
            own = [at(self.dims[number], sizes) for number in step.sizes]
            numbers += [slot.offset for slot in (output, *inputs)]
            for table in _tables(step, node):
                numbers.append(len(tables) * FLOAT)
                tables += table
            needed = computed(step.scratch, own)
            numbers += [scratch_start * FLOAT] * (step.scratch != 0)
            numbers += own
            scratch = max(scratch, needed)
            layers.append(layer_of(node, call, step.family, layouts[step.node], step.weights))
        names = [step.node for step in self.steps]
        return {
            "arena": (scratch_start + scratch) * FLOAT,
            "layers": [vars(layer) for layer in layers],
            "tensors": [*map(vars, tensors_of(graph, names, memory, layouts))],
            "numbers": numbers,
            "tables": tables,
        }

    def _layout(self, node: Node) -> Layout:
        block, halo = self.layouts[node.name]
        return Layout.of(node.type, 1, block, halo)


def _tables(step: OpenStep, node: Node) -> Iterator[list[float]]:
    """The numbers of the tables of a step, in their order, each up to whole lines."""
    if step.tables:
        assert isinstance(node.op, Resize)
        found, _ = tap_tables(node.op, node.core.inputs[0], node.core.output)
        for name in step.tables:
            constant = found[name]
            assert isinstance(constant, Constant)
            missing = -len(constant.values) % (CACHE_LINE // FLOAT)
            yield [*constant.values, *[0.0] * missing]


def open_to_json(program: Program, lanes: int) -> dict[str, Any]:
    """What an `OpenProgram` is made of besides the prepared graph, as values of JSON."""
    steps = [
        {
            "node": step.node,
            "family": step.kernel.family,
            "sizes": step.sizes,
            "scratch": formula_to_json(step.kernel.scratch),
            "use": str(program.plan.use(step.node)),
            "tables": step.kernel.tables,
            "weights": sum(map(packed_size, step.kernel.weights.values())),
        }
        for step in program.steps
    ]
    layouts = {name: [layout.block, layout.halo] for name, layout in program.layouts.items()}
    dims = [dim_to_json(dim) for dim in program.dims]
    return {"dims": dims, "layouts": layouts, "steps": steps, "lanes": lanes}


def open_from_json(data: Mapping[str, Any], graph: Graph) -> OpenProgram:
    """The program of `open_to_json`. Raises KeyError, TypeError or ValueError if there is none."""
    steps = (
        OpenStep(**{**row, "sizes": tuple(row["sizes"]), "tables": tuple(row["tables"])})
        for row in data["steps"]
    )
    layouts = {
        str(name): (int(block), tuple((before, after) for before, after in halo))
        for name, (block, halo) in data["layouts"].items()
    }
    dims = tuple(dim_from_json(dim) for dim in data["dims"])
    return OpenProgram(graph, layouts, dims, tuple(steps), int(data["lanes"]))
