"""Writing TensorIR: statements nest by `with`, indices and values are plain expressions.

Values are vectors of `lanes` floats; one lane is a scalar. Every function that is made here has
the C interface `int32_t name(float *p0, float *p1, ..., int32_t core, int32_t cores, int32_t
*flags)`: all cores call it, each with its number, and meet between its parallel loops.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen import bfloat16, tirx
from cnndsl.backends.cpu.codegen.expressions import (
    INDICES,
    Expr,
    address,
    floats,
    load,
    minimum,
    span,
    split,
    whole_number,
)
from cnndsl.backends.cpu.codegen.extents import Number, expression, formula_of, is_number
from cnndsl.backends.cpu.load_tvm import load_tvm

MEET = "cnndsl_meet"
"""The function of the runtime by which the cores wait for one another."""
SUCCESS = 0
C_INTERFACE = 1
"""The value of the attribute `calling_conv` that keeps a function's parameters as they are."""


@dataclass(frozen=True)
class Register:
    """A local vector that can be changed: a buffer of its own, so that it stays in a register."""

    buffer: Any
    lanes: int

    @property
    def value(self) -> Expr:
        """What it holds."""
        return load(self.buffer, 0, self.lanes)


@dataclass(frozen=True)
class Team:
    """What a function knows of the cores that run it together.

    `core` is the number of its own, `flags` a buffer by which they meet.
    """

    core: Expr
    cores: Expr
    flags: Any

    @classmethod
    def of_parameters(cls) -> Team:
        """Variables for the last parameters of a function."""
        flags = tirx.decl_buffer((1,), "int32", name="flags", scope="global", layout=None)
        return cls(whole_number("core"), whole_number("cores"), flags)

    @property
    def arguments(self) -> list[Expr]:
        """What a function that is called is given."""
        return [self.core, self.cores, address(self.flags, 0)]


@dataclass(frozen=True)
class Side:
    """Neighbouring whole numbers, as many as `count`, from a first one on."""

    start: Expr
    count: Number


def side(start: Number, stop: Number) -> range | Side:
    """The whole numbers from one up to, not including, another."""
    if isinstance(start, int) and isinstance(stop, int):
        return range(start, stop)
    return Side(start, stop - start)


def extent_of(side: range | Side) -> Number:
    """How many numbers there are on a side."""
    return len(side) if isinstance(side, range) else side.count


class Code:
    """Collects the statements of a function for each core of a team.

    `prefix` begins the names of functions that it calls. `rounds` tells that the CPU rounds to
    bfloat16 by itself.
    """

    def __init__(self, team: Team | None = None, prefix: str = "", *, rounds: bool = False) -> None:
        self._prefix, self._rounds = prefix, rounds
        self._inlined: dict[str, str] = {}
        self._team = team or Team.of_parameters()
        self._statements: list[Any] = []
        self._meetings: list[Any] = []

    def store(self, buffer: Any, index: Expr, value: Expr, lanes: int = 1) -> None:
        """Write `lanes` neighbouring numbers, rounded where the buffer has bfloat16."""
        if bfloat16.is_stored(buffer):
            value = self.rounded(value, lanes)
        self._statements.append(tirx.BufferStore(buffer, value, [span(index, lanes)]))

    def rounded(self, value: Expr, lanes: int) -> Expr:
        """The bits of numbers rounded to bfloat16."""
        if not self._rounds:
            return bfloat16.rounded(value, lanes)
        kind = bfloat16.STORED if lanes == 1 else f"{bfloat16.STORED}x{lanes}"
        return self.inline(kind, *bfloat16.rounding(lanes), value)

    def inline(self, dtype: str, name: str, text: str, *arguments: Expr) -> Expr:
        """What a function of that name and text, in LLVM's language, makes of its arguments."""
        self._inlined[name] = text
        return tirx.call_extern(dtype, name, *arguments)

    def unforeseen(self, value: int) -> Expr:
        """A whole number that LLVM does not know: a loop of so many rounds is not written out."""
        text = (
            "define internal i32 @cnndsl_unforeseen(i32 %x) alwaysinline {\n"
            '  %y = call i32 asm "", "=r,0"(i32 %x)\n'
            "  ret i32 %y\n}\n"
        )
        return self.inline("int32", "cnndsl_unforeseen", text, tirx.const(value, "int32"))

    def run(self, name: str, text: str, *arguments: Expr) -> None:
        """Call such a function for what it does; its result is a whole number."""
        self._statements.append(tirx.Evaluate(self.inline("int32", name, text, *arguments)))

    def register(self, initial: Expr, lanes: int = 1, dtype: str = "float32") -> Register:
        """A new register; `initial` is a vector already."""
        register = Register(floats("register", lanes, dtype), lanes)
        self._statements.append(tirx.AllocBuffer(register.buffer))
        self.set(register, initial)
        return register

    def set(self, register: Register, value: Expr) -> None:
        """Change a register."""
        span_of = [span(0, register.lanes)]
        self._statements.append(tirx.BufferStore(register.buffer, value, span_of))

    def name(self, value: Expr) -> Expr:
        """A whole number computed here, once, for use in what follows."""
        if is_number(value):
            return value
        variable = tirx.Var("index", "int32")
        self._statements.append(tirx.Bind(variable, value))
        return variable

    def base(self, value: Expr) -> Expr:
        """An index computed here, once, as 64 bits: what is added to it becomes an offset.

        Of 32 bits, LLVM has to allow for an overflow and computes every sum by itself.
        """
        variable = tirx.Var("base", "int64")
        value = expression(value)
        wide = tirx.const(value, "int64") if isinstance(value, int) else tirx.Cast("int64", value)
        self._statements.append(tirx.Bind(variable, wide))
        return variable

    @contextmanager
    def loop(self, extent: Expr) -> Iterator[Expr]:
        """Statements for 0, 1, ..., extent - 1; a single round needs no loop."""
        if isinstance(extent, int) and extent == 1:
            yield 0
            return
        variable = tirx.Var("i", "int32")
        with self._nested() as body:
            yield variable
        if body:
            serial = tirx.ForKind.SERIAL
            body = tirx.stmt_seq(*body)
            self._statements.append(tirx.For(variable, 0, expression(extent), serial, body))

    @contextmanager
    def parallel(self, *extents: Number) -> Iterator[list[Expr]]:
        """One task for each index tuple, the last index fastest; tasks must be independent.

        Each core does neighbouring tasks. What follows begins when all are done.
        """
        with self._tasks(*extents) as task:
            yield task
        self.meet()

    @contextmanager
    def _tasks(self, *extents: Number) -> Iterator[list[Expr]]:
        """The same, but what follows on a core begins when it is done with its own."""
        total, team = math.prod(extents), self._team
        if total == 1:
            with self.when(team.core == 0):
                yield [0] * len(extents)
        else:
            total = expression(total)
            share = self._count(tirx.truncdiv(team.cores + (total - 1), team.cores))
            first = self._count(team.core * share)
            with self.loop(self.name(minimum(share, total - first))) as index:
                task = self._count(first + index)
                yield [self.name(index) for index in split(task, extents)]

    def _count(self, value: Expr) -> Expr:
        """A whole number computed here that is not negative, of which TVM knows nothing else.

        TVM puts the expression of a variable in its place wherever it reasons about an index, which
        takes most of its time; it knows nothing of a register, which LLVM then does without. It
        tests the signs of what it divides unless it knows them. Of such tests for many columns LLVM
        22 makes `vmovmskps` of registers that it cannot encode, and the code reads another one.
        """
        return self.name(tirx.max(self.register(value, 1, "int32").value, 0))

    def meet(self) -> None:
        """Wait until all cores are here."""
        self.call(MEET, [])
        self._meetings.append(self._statements[-1])

    @contextmanager
    def share(self, cores: int, *extents: Number, meets: bool = True) -> Iterator[list[Expr]]:
        """As `parallel`, with neighbouring tasks on one of `cores`, whose number comes first.

        Unless it `meets`, what follows on a core does not wait for the others.
        """
        total = math.prod(extents)
        share = (total + cores - 1) // cores
        tasks = self.parallel if meets else self._tasks
        with tasks(cores) as (core,), self.loop(share) as index:
            task = self.name(core * share + index)
            with self.when(total % cores == 0 or task < total):
                yield [core, *(self.name(index) for index in split(task, extents))]

    @contextmanager
    def box(self, sides: Sequence[range | Side]) -> Iterator[list[Expr]]:
        """Nested loops over the positions of a box, the last axis fastest."""
        with ExitStack() as loops:
            yield [side.start + loops.enter_context(self.loop(extent_of(side))) for side in sides]

    @contextmanager
    def when(self, condition: Expr) -> Iterator[None]:
        """Statements under a condition; a condition known to hold needs no test."""
        if condition is True:
            yield
            return
        with self._nested() as body:
            yield
        if body and condition is not False:
            self._statements.append(tirx.IfThenElse(condition, tirx.stmt_seq(*body), None))

    def prefetch(self, buffer: Any, index: Expr) -> None:
        """Ask for the cache line of an index, which may lie behind the buffer's end."""
        place = tirx.address_of(tirx.BufferLoad(buffer, [index]))
        read, near, data = (tirx.const(value, "int32") for value in (0, 2, 1))
        call = tirx.call_intrin("void", "tirx.prefetch", place, read, near, data)
        self._statements.append(tirx.Evaluate(call))

    def call(self, symbol: str, arguments: Sequence[Expr]) -> None:
        """Let the team call another function."""
        call = tirx.call_extern("int32", self._prefix + symbol, *arguments, *self._team.arguments)
        self._statements.append(tirx.Evaluate(call))

    @contextmanager
    def _nested(self) -> Iterator[list[Any]]:
        outer, self._statements = self._statements, []
        body = self._statements
        try:
            yield body
        finally:
            self._statements = outer

    def function(self, name: str, buffers: Sequence[Any], *, noalias: bool = True) -> Any:
        """The function of pointers to the buffers, and what it has to know of the team.

        Its caller lets the cores meet in the end. `noalias` says that no two of the buffers share
        memory of which one is written. It is not said where cores meet in between, since LLVM would
        conclude that no other function, and so no other core, writes the memory meanwhile.
        """
        ir, meets = load_tvm().ir, len(self._meetings)
        if self._meetings and self._statements[-1].same_as(self._meetings[-1]):
            self._statements.pop()
            meets -= 1
        flags = self._team.flags
        pointers, declared = _declared([*buffers, flags])
        parameters = [*pointers[:-1], self._team.core, self._team.cores, pointers[-1]]
        end = tirx.Return(tirx.const(SUCCESS, "int32"))
        body = tirx.stmt_seq(
            *declared, *_extents(self._statements, buffers), *self._statements, end
        )
        for text in self._inlined.values():
            given = ir.StringImm(text)
            body = tirx.AttrStmt(tirx.const(0, "int32"), "pragma_import_llvm", given, body)
        function = tirx.PrimFunc(parameters, body, ret_type=ir.PrimType("int32"))
        attributes = {"tirx.noalias": noalias and not meets, "calling_conv": C_INTERFACE}
        return function.with_attr({"global_symbol": name, **attributes})


def _extents(statements: Sequence[Any], buffers: Sequence[Any]) -> list[Any]:
    """The statements that compute the variables of extents, from the sizes in the last buffer."""
    found = []
    for variable in tirx.analysis.undefined_vars(tirx.stmt_seq(*statements, tirx.Evaluate(0))):
        formula = formula_of(variable.name)
        if formula is not None:
            sizes = [
                tirx.Cast("int32", load(buffers[-1], axis)) for axis in range(max(formula.axes) + 1)
            ]
            found.append(tirx.Bind(variable, formula.compute(sizes, INDICES)))
    return found


def _declared(buffers: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Parameters that are pointers to buffers, and statements that declare these."""
    ir = load_tvm().ir
    pointers = [
        tirx.Var(buffer.name, ir.PointerType(ir.PrimType(str(buffer.dtype)), "global"))
        for buffer in buffers
    ]
    declared = [
        tirx.DeclBuffer(buffer, data=pointer)
        for buffer, pointer in zip(buffers, pointers, strict=True)
    ]
    return pointers, declared
