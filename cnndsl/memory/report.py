"""A plan as plain data."""

from __future__ import annotations

from typing import Any

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Concat
from cnndsl.memory.alias import last_uses
from cnndsl.memory.model import Plan
from cnndsl.memory.training import TrainingMemory

TOP = 10


def memory_report(graph: Graph, plan: Plan) -> dict[str, Any]:
    """Totals in bytes, and the largest tensors.

    `concat_removed_bytes` are copies that concats do not make. A tensor's `memory` is
    one of `Use`; `first` is the step that makes it, `last` the one that reads it last.
    """
    concats = [p for n, p in plan.places.items() if isinstance(graph[n].op, Concat)]
    copied = plan.concat_copy_bytes
    largest = sorted(plan_steps(graph, plan), key=lambda row: -row["bytes"])[:TOP]
    return {
        "batch": plan.batch,
        "sum_bytes": plan.sum_bytes,
        "arena_bytes": plan.arena_bytes,
        "lower_bound_bytes": plan.lower_bound_bytes,
        "in_place_bytes": plan.in_place_bytes,
        "concat_copy_bytes": copied,
        "concat_removed_bytes": plan.batch * sum(place.size for place in concats) - copied,
        "buffers": len(plan.buffers),
        "steps": len(plan.schedule),
        "largest": largest,
    }


def plan_steps(graph: Graph, plan: Plan) -> list[dict[str, Any]]:
    """All tensors in the order of the schedule, as in `memory_report`."""
    last = last_uses(graph)
    return [
        _tensor(graph, plan, name) | {"first": step, "last": last[name]}
        for step, name in enumerate(plan.schedule)
        if name in plan.places
    ]


def _tensor(graph: Graph, plan: Plan, name: str) -> dict[str, Any]:
    place = plan.places[name]
    return {
        "name": name,
        "op": graph[name].op.name,
        "shape": list(graph[name].type.shape),
        "bytes": plan.batch * place.size,
        "memory": place.use.value,
        "address": plan.address(name),
        "buffer": place.buffer.name,
    }


def training_report(memory: TrainingMemory) -> dict[str, int]:
    """What a training step keeps, in bytes."""
    return {
        "kept_bytes": memory.kept,
        "recomputing_bytes": memory.with_recomputing,
        "shared_bytes": memory.shared,
        "feature_bytes": memory.features,
        "concat_area_bytes": memory.concat_area,
        "normalised_area_bytes": memory.normalised_area,
    }
