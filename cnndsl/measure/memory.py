"""The memory of this process, in bytes."""

from __future__ import annotations

import gc
import resource
import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = b"5"
"""What proc(5) asks for in clear_refs to start the peak anew."""


def resident() -> int:
    """Resident memory now; where the system does not tell, the peak so far."""
    return _status("VmRSS") or _largest()


def reset_peak() -> None:
    """Forget the peak so far, where the system can."""
    gc.collect()
    try:
        CLEAR.write_bytes(RESET_PEAK)
    except OSError:
        return


def peak() -> int:
    """The largest resident memory since the start, or since the peak was reset."""
    return _status("VmHWM") or _largest()


def _status(field: str) -> int | None:
    """A field of the process's status file, or None where there is none."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None


def _largest() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
