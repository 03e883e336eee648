"""Measurements as plain data."""

from __future__ import annotations

from typing import Any

from cnndsl.measure.contest import Contest, Contestant
from cnndsl.measure.layers import LayerReport
from cnndsl.runtime.layers import Peak


def contest_report(contest: Contest) -> dict[str, Any]:
    """Everything: times in milliseconds, memory in bytes."""
    peak = contest.layers[0].peak if contest.layers else None
    return {
        "batch": contest.batch,
        "threads": contest.threads,
        "arena_bytes": contest.arena_bytes,
        "runtimes": [_runtime(contest, contestant) for contestant in contest.contestants],
        "layers": [_layer(layer) for layer in contest.layers],
        "layers_ms": sum(layer.seconds for layer in contest.layers) * 1e3,
        "machine": _peak(peak) if peak else None,
    }


def _runtime(contest: Contest, contestant: Contestant) -> dict[str, Any]:
    timing = contestant.timing
    return {
        "name": contestant.name,
        "calls": len(timing.seconds),
        "min_ms": min(timing.seconds) * 1e3,
        "p50_ms": timing.percentile(50) * 1e3,
        "p90_ms": timing.percentile(90) * 1e3,
        "p99_ms": timing.percentile(99) * 1e3,
        "samples_per_second": timing.throughput(contest.batch),
        "ratio": contest.own.timing.ratio(timing),
        "peak_bytes": timing.peak,
        "weight_bytes": contestant.weight_bytes,
        "working_bytes": contestant.working_bytes,
        "rounds_ms": [[seconds * 1e3 for seconds in calls] for calls in timing.rounds],
    }


def _peak(peak: Peak) -> dict[str, float]:
    return {"gflops": peak.flops / 1e9, "gb_per_second": peak.bandwidth / 1e9}


def _layer(report: LayerReport) -> dict[str, Any]:
    layer = report.layer
    return {
        "node": layer.node,
        "op": layer.op,
        "family": layer.family,
        "shape": list(layer.shape),
        "macs": layer.macs,
        "bytes": layer.read + layer.written,
        "ms": report.seconds * 1e3,
        "gflops": report.flops / 1e9,
        "gb_per_second": report.bandwidth / 1e9,
        "bound": report.bound,
        "share": report.share,
    }
