"""What a library tells the runtime: the steps of a program in order, as a table in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.cpu.program.lower import Program, Slot
from cnndsl.backends.native.packing import FLOAT, Packing

NUMBERS, TABLES = "(numbers)", "(tables)"
"""Regions of programs of open sizes: names that no node has."""


@dataclass(frozen=True)
class CallTable:
    """The steps of a program: of each the kernel's symbol and the memory that it is given.

    `regions` are the names of the blocks of memory, and their floats: the arena, the weights, so
    many `inputs`, and the outputs. `features` are those that the code needs of a CPU.
    """

    regions: tuple[tuple[str, int], ...]
    calls: tuple[tuple[str, tuple[Slot, ...]], ...]
    inputs: int = 0
    features: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    """Of a program of open sizes, how many numbers each step has: the offsets of its slots that are
    none of weights, then its open sizes. They are the region behind the outputs, the last one are
    tables."""

    @classmethod
    def of(
        cls, program: Program, symbols: Sequence[str], packing: Packing, features: tuple[str, ...]
    ) -> CallTable:
        """The table of a program; `symbols` names the kernel of each step."""
        names = [*program.graph.inputs, *program.graph.outputs.values()]
        ports = [(name, program.layouts[name]) for name in names]
        calls = []
        for step, symbol, offsets in zip(program.steps, symbols, packing.offsets, strict=True):
            weights = (Slot("weights", offset * FLOAT) for offset in offsets)
            slots = [step.output, *step.inputs, *weights]
            if step.kernel.scratch:
                slots.append(Slot("arena", program.scratch * FLOAT))
            calls.append((symbol, tuple(slots)))
        regions = [
            ("arena", program.arena),
            ("weights", packing.size),
            *((name, layout.batch * layout.batch_stride) for name, layout in ports),
        ]
        return cls(tuple(regions), tuple(calls), len(program.graph.inputs), features)

    @classmethod
    def of_open(
        cls, program: Program, symbols: Sequence[str], packing: Packing, features: tuple[str, ...]
    ) -> CallTable:
        """The same for a program of open sizes, whose numbers and tables are made for each size."""
        names = [*program.graph.inputs, *program.graph.outputs.values()]
        calls, numbers = [], []
        for step, symbol, offsets in zip(program.steps, symbols, packing.offsets, strict=True):
            regions = [slot.region for slot in (step.output, *step.inputs)]
            weights = [Slot("weights", offset * FLOAT) for offset in offsets]
            regions += [TABLES] * len(step.kernel.tables)
            regions += ["arena"] * (step.kernel.scratch != 0)
            slots = [Slot(region, index) for index, region in enumerate(regions)]
            first = 1 + len(step.inputs)
            calls.append((symbol, (*slots[:first], *weights, *slots[first:])))
            numbers.append(len(slots) + len(step.sizes))
        sizes = {"arena": 0, "weights": packing.size, **dict.fromkeys([*names, NUMBERS, TABLES], 0)}
        inputs = len(program.graph.inputs)
        return cls(tuple(sizes.items()), tuple(calls), inputs, features, tuple(numbers))

    def source(self) -> str:
        """The text in C, which includes `runtime.h`."""
        numbers = {name: index for index, (name, _) in enumerate(self.regions)}
        kernels = {
            symbol: "float *, " * len(slots) + "const int64_t *, " * (sizes > 0)
            for (symbol, slots), sizes in zip(self.calls, self._sizes(), strict=True)
        }
        regions = ", ".join(str(size) for _, size in self.regions)
        names = ", ".join(f"step{index}" for index in range(len(self.calls)))
        lines = [
            "#include <runtime.h>",
            "#define AT(region, bytes) ((float *)(void *)((char *)r[region] + (bytes)))",
        ]
        for symbol, places in kernels.items():
            lines.append(f"int32_t {symbol}({places}int32_t, int32_t, void *);")
        start = 0
        for index, ((symbol, slots), sizes) in enumerate(
            zip(self.calls, self._sizes(), strict=True)
        ):
            places = "".join(
                f"AT({numbers[slot.region]}, {self._offset(slot)}), " for slot in slots
            )
            own = ""
            if self.numbers:
                own = f"const int64_t *o = (const void *)r[{numbers[NUMBERS]}]; o += {start}; "
                places += f"o + {self.numbers[index] - sizes}, " * (sizes > 0)
                start += self.numbers[index]
            lines += [
                f"static void step{index}(float *const *r, int32_t core, int32_t cores, void *f)",
                f"{{ {own}{symbol}({places}core, cores, f); }}",
            ]
        lines += [
            f"static const int64_t sizes[] = {{{regions}}};",
            f"static cnndsl_step *const step[] = {{{names}}};",
            "const struct cnndsl_program cnndsl_program = {",
            f"    CNNDSL_ABI, {self.inputs}, {len(self.regions)}, {len(self.calls)}, sizes,",
            f'    "{",".join(self.features)}", step}};',
        ]
        return "\n".join(lines) + "\n"

    def _offset(self, slot: Slot) -> str:
        is_given = self.numbers and slot.region != "weights"
        return f"o[{slot.offset}]" if is_given else str(slot.offset)

    def _sizes(self) -> list[int]:
        """How many open sizes each step is given."""
        if not self.numbers:
            return [0] * len(self.calls)
        given = (sum(s.region != "weights" for s in slots) for _, slots in self.calls)
        return [count - own for count, own in zip(self.numbers, given, strict=True)]
