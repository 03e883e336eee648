"""What a library tells the runtime: the steps of a program in order, as a table in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.cpu.program.lower import Program, Slot
from cnndsl.backends.native.packing import FLOAT, Packing


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

    def source(self) -> str:
        """The text in C, which includes `runtime.h`."""
        numbers = {name: index for index, (name, _) in enumerate(self.regions)}
        kernels = {symbol: len(slots) for symbol, slots in self.calls}
        sizes = ", ".join(str(size) for _, size in self.regions)
        names = ", ".join(f"step{index}" for index in range(len(self.calls)))
        lines = [
            '#include "runtime.h"',
            "#define AT(region, bytes) ((float *)(void *)((char *)r[region] + (bytes)))",
        ]
        for symbol, count in kernels.items():
            lines.append(f"int32_t {symbol}({'float *, ' * count}int32_t, int32_t, void *);")
        for index, (symbol, slots) in enumerate(self.calls):
            places = "".join(f"AT({numbers[slot.region]}, {slot.offset}), " for slot in slots)
            lines += [
                f"static void step{index}(float *const *r, int32_t core, int32_t cores, void *f)",
                f"{{ {symbol}({places}core, cores, f); }}",
            ]
        lines += [
            f"static const int64_t sizes[] = {{{sizes}}};",
            f"static cnndsl_step *const step[] = {{{names}}};",
            "const struct cnndsl_program cnndsl_program = {",
            f"    CNNDSL_ABI, {self.inputs}, {len(self.regions)}, {len(self.calls)}, sizes,",
            f'    "{",".join(self.features)}", step}};',
        ]
        return "\n".join(lines) + "\n"
