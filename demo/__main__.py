"""Compile MobileNetV2, classify two photos, and show what each stage took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import cnndsl
from demo.classifier import PHOTOS, classify, compile_network, photo

ARTEFACT = Path("build/mobilenet_v2.onnx")


@contextmanager
def stage(label: str, times: list[tuple[str, float]]) -> Iterator[None]:
    """Note how many seconds the block takes."""
    start = perf_counter()
    yield
    times.append((label, perf_counter() - start))


def main() -> None:
    """Print the network's summary, the answers, and the times."""
    times: list[tuple[str, float]] = []
    with stage("parse and check the network", times):
        network = cnndsl.parse("mobilenet_v2")
    print(network.summary(depth=1), end="\n\n")

    with stage("read the weights and compile to ONNX", times):
        module = compile_network(network)
    with stage(f"write {ARTEFACT}", times):
        ARTEFACT.parent.mkdir(exist_ok=True)
        module.save(ARTEFACT)
    with stage("load it again", times):
        module = cnndsl.load(ARTEFACT)

    for name in PHOTOS:
        with stage(f"classify {name}", times):
            answers = classify(module, photo(name))
        print(name, *(f"{p:8.3f}  {label}" for label, p in answers), sep="\n", end="\n\n")

    print(*(f"{seconds:7.3f} s  {label}" for label, seconds in times), sep="\n")


if __name__ == "__main__":
    main()
