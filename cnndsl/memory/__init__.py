"""Where tensors live: schedule, aliases, one arena with offsets, and a proof that it works."""

from __future__ import annotations

from cnndsl.memory.model import Buffer, Options, Place, Plan, Region
from cnndsl.memory.planner import plan
from cnndsl.memory.validate import PlanError, validate

__all__ = ["Buffer", "Options", "Place", "Plan", "PlanError", "Region", "plan", "validate"]
