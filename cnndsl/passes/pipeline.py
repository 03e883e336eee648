"""Which passes run at which level, and in which order: the one list."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cnndsl.diagnostics import CnnError
from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.ir.graph import Graph
from cnndsl.ir.verify import verify as verify_graph
from cnndsl.passes.common_subexpressions import CommonSubexpressions
from cnndsl.passes.concat_activation import ConcatActivation
from cnndsl.passes.dead_code import DeadCode
from cnndsl.passes.depthwise_prologue import DepthwisePrologue
from cnndsl.passes.epilogue import Epilogue
from cnndsl.passes.fc_to_conv import ConvToFc, FcToConv
from cnndsl.passes.fold_affine import FoldScale, FuseBatchNorm
from cnndsl.passes.fold_shuffle import FoldShuffle
from cnndsl.passes.grouped import Grouped
from cnndsl.passes.horizontal import Horizontal
from cnndsl.passes.merge_linear import MergeLinear
from cnndsl.passes.no_ops import NoOps
from cnndsl.passes.padded_shortcut import PaddedShortcut
from cnndsl.passes.parallel_linear import ParallelLinear
from cnndsl.passes.pool_commute import PoolCommute
from cnndsl.passes.pool_epilogue import PoolEpilogue
from cnndsl.passes.prologue import Prologue
from cnndsl.passes.rectified import Rectified
from cnndsl.passes.rewrite import Pass, Report
from cnndsl.passes.shuffle_prologue import ShufflePrologue
from cnndsl.passes.squeeze_excite import SqueezeExcitation
from cnndsl.passes.strided import StridedConv
from cnndsl.passes.training_only import TrainingOnly
from cnndsl.passes.zero_branches import ZeroBranches

INFERENCE: tuple[Pass, ...] = (TrainingOnly(), DeadCode())
CLEANUP: tuple[Pass, ...] = (
    NoOps(),
    ZeroBranches(),
    Rectified(),
    CommonSubexpressions(),
    DeadCode(),
)
FOLDING: tuple[Pass, ...] = (StridedConv(), FoldScale(), FuseBatchNorm())
REDUCING: tuple[Pass, ...] = (
    ParallelLinear(),
    PoolCommute(),
    MergeLinear(),
    FoldShuffle(),
    ConvToFc(),
    Grouped(),
)
RESHAPING: tuple[Pass, ...] = (Horizontal(), PaddedShortcut(), FcToConv())
"""Passes that trade one kind of work for another, which pays for some backends only."""
FUSING: tuple[Pass, ...] = (
    SqueezeExcitation(),
    ShufflePrologue(),
    ConcatActivation(),
    Epilogue(),
    PoolEpilogue(),
    Prologue(),
    DepthwisePrologue(),
)
"""Passes that make fused operators. These and RESHAPING run only for backends that name them in
`fusions`."""

LEVELS: dict[int, tuple[Pass, ...]] = {
    0: INFERENCE,
    1: INFERENCE + CLEANUP,
    2: INFERENCE + CLEANUP + FOLDING + REDUCING + FUSING,
    3: INFERENCE + CLEANUP + FOLDING + REDUCING + RESHAPING + FUSING,
}
"""0: what inference means. 1: nothing is computed for nothing. 2: weights take what they can,
and neighbours are fused. 3: everything that keeps the meaning."""

FUSIONS = frozenset(step.name for step in RESHAPING + FUSING)
DEFAULT_LEVEL = 2


@dataclass(frozen=True)
class PassRun:
    """One run of a pass: its report, the number of nodes before and after, the seconds."""

    name: str
    report: Report
    before: int
    after: int
    seconds: float


def optimise(
    graph: Graph,
    level: int = DEFAULT_LEVEL,
    *,
    disable: Collection[str] = (),
    fusions: Collection[str] = FUSIONS,
    until: str | None = None,
    verify: bool = False,
) -> tuple[Graph, list[PassRun]]:
    """An optimised copy of a graph, and what each pass did.

    Passes named in `disable` are left out, and of those that fuse all that are not in `fusions`.
    `until` ends with the pass of that name. `verify` checks the graph after each pass. Raises
    CnnError (E0610) for a level or a pass that there is not.
    """
    result = graph.copy()
    runs = []
    for step in _selected(level, disable, fusions, until):
        before, start = len(result), time.perf_counter()
        report = step.run(result)
        runs.append(PassRun(step.name, report, before, len(result), time.perf_counter() - start))
        if verify:
            verify_graph(result)
        if step.name == until:
            break
    return result, runs


def inference_graph(graph: Graph) -> Graph:
    """A copy of the graph as it is at inference, not optimised."""
    return optimise(graph, 0)[0]


def passes() -> tuple[Pass, ...]:
    """All passes, each once, in the order in which the highest level runs them."""
    return tuple({step.name: step for step in LEVELS[max(LEVELS)]}.values())


def require_passes(names: Iterable[str]) -> None:
    """Raise CnnError (E0610) for a pass that there is not."""
    known = [step.name for step in passes()]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"passes: {', '.join(known)}"
            raise CnnError.of("E0610", f"there is no pass {name!r}", hint=hint)


def _selected(
    level: int, disable: Collection[str], fusions: Collection[str], until: str | None
) -> list[Pass]:
    if level not in LEVELS:
        raise CnnError.of("E0610", f"there is no level {level}", hint=f"levels: 0 to {max(LEVELS)}")
    if isinstance(disable, str):
        raise CnnError.of("E0615", f"disable is a list of passes, not {disable!r}")
    require_passes([*disable, *([] if until is None else [until])])
    fusing = FUSIONS - set(fusions)
    selected = [s for s in LEVELS[level] if s.name not in disable and s.name not in fusing]
    if until is not None and until not in [step.name for step in selected]:
        hint = "it is disabled, of a higher level, or not for this target"
        raise CnnError.of("E0610", f"the pass {until!r} does not run here", hint=hint)
    return selected
