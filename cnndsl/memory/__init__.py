"""Where tensors live: aliases, one arena with offsets, and a proof that it works."""

from __future__ import annotations

from cnndsl.memory.model import Buffer, Options, Place, Plan, Region, Use
from cnndsl.memory.planner import peak_bytes, plan, require_known_sizes
from cnndsl.memory.validate import PlanError, validate

__all__ = [
    "Buffer",
    "Options",
    "Place",
    "Plan",
    "PlanError",
    "Region",
    "Use",
    "peak_bytes",
    "plan",
    "require_known_sizes",
    "validate",
]
