"""The loop of training, whatever takes the steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnndsl
from cnndsl.recipes.recipe import Recipe
from cnndsl.runtime.module import Array
from cnndsl.train.data import read_data
from cnndsl.train.loop import Loop
from cnndsl.train.plan import Plan

TEXT = "network n {\n input x [1, 2, 2]\n fc(2)\n}\n"


class Broken(Loop):
    """Steps that look well and leave weights that are none."""

    def begin(self, seeds: tuple[int, int, int]) -> None:
        pass

    def step(self, x: Array, labels: Array, rate: float) -> float:
        return 0.5

    def evaluate(self, images: Any) -> tuple[float, float]:
        return float("nan"), 0.0

    def weights(self) -> dict[str, Array]:
        return {"weight": np.full(1, np.nan, np.float32)}

    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        path.write_bytes(b"")

    def read(self, path: Path) -> list[dict[str, Any]]:
        return []


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    images = np.zeros((10, 1, 2, 2), np.float32)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(10) % 2)
    network = cnndsl.parse(TEXT)
    data = read_data(str(tmp_path / "data.npz"), network.inputs["x"])
    output = tmp_path / "n.safetensors"
    with pytest.raises(cnndsl.CnnError, match=r"E0763.*held out is nan after epoch 1"):
        Broken(network, data, Recipe(), Plan(output)).run()
    assert not output.exists()
