"""The loop of training, whatever takes the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnndsl
from cnndsl.recipes.course import Batch, Epochs
from cnndsl.recipes.optimisers import Sgd
from cnndsl.recipes.recipe import Recipe
from cnndsl.recipes.schedules import Step
from cnndsl.runtime.module import Array
from cnndsl.train.data import read_data
from cnndsl.train.loop import Loop
from cnndsl.train.plan import Epoch, Plan

TEXT = "network n {\n input x [1, 2, 2]\n fc(2)\n}\n"


class Counted(Loop):
    """Steps that learn nothing; the sizes of their batches are kept."""

    held_out_loss = 0.5

    def __init__(self, *given: Any):
        super().__init__(*given)
        self.sizes: list[int] = []
        self.read_epochs: list[dict[str, Any]] = []

    def begin(self, seeds: tuple[int, int, int]) -> None:
        pass

    def step(self, x: Array, labels: Array, rate: float) -> float:
        self.sizes.append(len(x))
        return 0.5

    def evaluate(self, images: Any) -> tuple[float, float]:
        return self.held_out_loss, 0.5

    def weights(self) -> dict[str, Array]:
        return {"weight": np.zeros(1, np.float32)}

    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        path.write_bytes(b"")

    def read(self, path: Path) -> list[dict[str, Any]]:
        return self.read_epochs


@pytest.fixture
def given(tmp_path: Path) -> tuple[Any, ...]:
    """Eight samples to train with, two held out."""
    images = np.zeros((10, 1, 2, 2), np.float32)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(10) % 2)
    network = cnndsl.parse(TEXT)
    data = read_data(str(tmp_path / "data.npz"), network.inputs["x"])
    return network, data, Recipe(), Plan(tmp_path / "n.safetensors")


def test_weights_that_are_not_finite_are_not_written(given: Any) -> None:
    loop = Counted(*given)
    loop.held_out_loss = float("nan")
    with pytest.raises(cnndsl.CnnError, match=r"E0763.*held out is nan after epoch 1"):
        loop.run()
    assert not loop.plan.output.exists()


@pytest.mark.parametrize("items", [(Sgd(1e35),), (Sgd(0.1), Step(1e20, at=(0.5, 0.6)))])
def test_rates_beyond_float32_are_refused(given: Any, items: Any) -> None:
    network, data, _, plan = given
    loop = Counted(network, data, Recipe.of(*items, Batch(2)), plan)
    with pytest.raises(cnndsl.CnnError, match=r"E0763.*the rate is .*e\+3"):
        loop.run()


@pytest.mark.parametrize(
    ("batch", "sizes"),
    [(1, [1] * 8), (2, [2] * 4), (3, [3, 3, 2]), (7, [7]), (8, [8]), (100, [8])],
)
def test_all_samples_have_a_step_but_for_a_single_last_one(
    given: Any, batch: int, sizes: list[int]
) -> None:
    network, data, _, plan = given
    loop = Counted(network, data, Recipe.of(Batch(batch), Epochs(2)), plan)
    assert len(loop.run()) == 2
    assert loop.sizes == 2 * sizes


def test_a_process_has_samples_in_each_step(given: Any) -> None:
    network, data, _, plan = given
    for batch in (3, 4, 5):
        loops = [Counted(network, data, Recipe.of(Batch(batch)), plan, n, 3) for n in range(3)]
        shares = [list(map(len, loop._batches(0))) for loop in loops]
        assert all(map(all, shares))
        assert len({len(share) for share in shares}) == 1
    with pytest.raises(cnndsl.CnnError, match="2 samples of a step are too few for 3 processes"):
        Counted(network, data, Recipe.of(Batch(2)), plan, 0, 3)


def test_statistics_of_one_number_are_refused(given: Any) -> None:
    _, data, _, plan = given
    text = "network n { input x [1, 2, 2]\n conv(2, 1) -> bn -> fc(2) -> bn }"
    with pytest.raises(cnndsl.CnnError, match=r"E0615.*bn2 has one number(.|\n)*--batch 2"):
        Counted(cnndsl.parse(text), data, Recipe.of(Batch(1)), plan)
    Counted(cnndsl.parse(text.replace(" -> bn }", "}")), data, Recipe.of(Batch(1)), plan)


def test_training_does_not_go_on_without_the_best_weights(given: Any) -> None:
    network, data, recipe, plan = given
    loop = Counted(network, data, recipe, replace(plan, resume=True))
    loop.read_epochs = [dict(vars(Epoch(0, 0.5, 0.5, 0.9, 0.1, 1.0)))]
    with pytest.raises(cnndsl.CnnError, match=r"E0762.*n\.safetensors is gone"):
        loop.run()
    plan.output.touch()
    assert len(loop.run()) == 20
