"""Mutated `.cnn` files: whatever the text, checking it ends soon with findings or without.

    python tests/fuzz/mutate.py --count 100000 --seed 0 --jobs 2

prints every text that gave anything but diagnostics, or took over 20 seconds of processor time.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cnndsl
from cnndsl.diagnostics import render

VARIANT = re.compile(r"network \w+ = ")
TOKEN = re.compile(r"\w+|\s+|->|.", re.DOTALL)
ODDITIES = [
    *("->", "|", "{", "}", "(", ")", "[", "]", ",", "=", ":", "#", '"', "\n", "\0", "é", "\t"),
    *("0", "-1", "1e308", "99999999999999999999", "0.5", "true", "same", "identity", "channels"),
    *("repeat 9999 {", "for i in range(9999) {", "if", "else", "block", "network", "let", "layer"),
    *("output", "auxiliary", "defaults", "import", "concat", "add", "conv", "bn", "x", "**", "//"),
    *("height", "2**62", "[1] * 9999", "conv{", "10**9", "input image [3, H, W]", "relu -> " * 30),
]


def corpus() -> list[str]:
    """The zoo's files with one variant of each network, so that a single check is short."""
    files = sorted(set(cnndsl.zoo().values()))
    return [_first_variant(path.read_text("utf-8")) for path in files]


def _first_variant(text: str) -> str:
    lines = text.splitlines(keepends=True)
    variants = [
        line for line in lines if VARIANT.match(line) and line.count("(") == line.count(")")
    ]
    return "".join(line for line in lines if line not in variants[1:])


def mutate(texts: list[str], random_: random.Random) -> str:
    """One text with one to eight small changes: tokens dropped, doubled, swapped, replaced."""
    tokens = TOKEN.findall(random_.choice(texts))
    other = TOKEN.findall(random_.choice(texts))
    for _ in range(random_.randint(1, 8)):
        here = random_.randrange(len(tokens) + 1)
        match random_.randrange(6):
            case 0:
                del tokens[here : here + random_.randint(1, 5)]
            case 1:
                tokens[here:here] = tokens[here : here + random_.randint(1, 20)]
            case 2:
                tokens.insert(here, random_.choice(ODDITIES))
            case 3:
                tokens[here : here + 1] = [random_.choice(ODDITIES)]
            case 4:
                start = random_.randrange(len(other))
                tokens[here:here] = other[start : start + random_.randint(1, 30)]
            case 5:
                del tokens[here:]
        tokens = tokens or [" "]
    return "".join(tokens)


class SlowError(Exception):
    """A check took too long."""


def complaint(text: str, seconds: float = 20.0) -> str | None:
    """What is wrong with the way a text is checked, or None. Needs the main thread.

    `seconds` are of processor time, so that a busy machine does not matter.
    """

    def stop(_signal: int, _frame: object) -> None:
        raise SlowError

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        findings = cnndsl.check(text + "\n")
        render.text(findings)
    except cnndsl.CnnError:
        return None
    except SlowError:
        return f"took over {seconds} s"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


def run(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Failures as (complaint, text) among `count` mutations."""
    random_ = random.Random(seed)
    texts = corpus()
    for _ in range(count):
        text = mutate(texts, random_)
        if (wrong := complaint(text)) is not None:
            yield wrong, text


def _job(arguments: tuple[int, int]) -> tuple[list[tuple[str, str]], int]:
    failures = list(run(*arguments))
    return failures, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """Run the mutations over several processes; the exit code tells whether all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chunk = 250
    jobs = [(options.seed + i, chunk) for i in range(-(-options.count // chunk))]
    failures, memory, start = 0, 0, time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        for done, (found, used) in enumerate(pool.map(_job, jobs), start=1):
            memory = max(memory, used)
            for wrong, text in found:
                failures += 1
                Path(f"fuzz-{failures}.cnn").write_text(text)
                print(f"{wrong} (kept as fuzz-{failures}.cnn)")
            print(f"\r{done * chunk} of {len(jobs) * chunk}", end="", file=sys.stderr)
    elapsed = time.monotonic() - start
    print(f"\n{failures} failures, {elapsed:.0f} s, at most {memory // 1024} MiB a process")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
