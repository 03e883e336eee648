"""What was published of the zoo's networks: errors, and how they were trained."""

from __future__ import annotations

import pytest

import cnndsl
from cnndsl.api import zoo
from cnndsl.cli.list import published_errors
from cnndsl.recipes.initialisers import Bias, Gaussian
from cnndsl.recipes.optimisers import Nesterov, RmsProp, Sgd, Velocity
from cnndsl.recipes.schedules import Cosine, Plateau, Polynomial, Step


def test_errors_are_of_networks_that_there_are() -> None:
    assert set(published_errors()) <= set(zoo())
    for rows in published_errors().values():
        for row in rows:
            known = [row[top] for top in ("top5", "top1") if row[top] is not None]
            assert known == sorted(known)
            assert 0 < known[0] < known[-1] + 1 < 60
            assert row["source"]
            assert row["data"] in ("MNIST", "CIFAR-10", "ImageNet")
        assert len({row["source"] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("name", "optimiser", "schedule", "batch", "epochs"),
    [
        ("alexnet", Velocity(0.01, momentum=0.9, decay=5e-4), Plateau(0.1), 128, 90),
        ("squeezenet1_1", Sgd(0.04, decay=2e-4), Polynomial(), 512, 68),
        ("mobilenet_v2", RmsProp(0.045, 0.9, 4e-5, 0.9), Step(0.98, every=1), 96, 20),
        ("resnet20_cifar", Sgd(0.1, decay=1e-4), Step(0.1, at_steps=(32000, 48000)), 128, 26),
        ("densenet_cifar_L40_k12", Nesterov(0.1, decay=1e-4), Step(at=(150, 225)), 64, 300),
        ("shufflenet_v2_x1_0", Sgd(0.5, decay=4e-5), Polynomial(), 1024, 120),
        ("ghostnet", Sgd(0.4, decay=4e-5), Polynomial(), 1024, 120),
        ("regnet_y_400mf", Nesterov(0.8, decay=5e-5), Cosine(), 1024, 100),
        ("repvgg_a0", Sgd(0.1, decay=1e-4), Cosine(), 256, 120),
        ("hrnet_w18_small", Nesterov(0.1, decay=1e-4), Step(at=(30, 60, 90)), 256, 100),
        ("darknet53", Sgd(0.1, decay=5e-4), Polynomial(4), 128, 320),
    ],
)
def test_recipes_are_the_published_ones(name, optimiser, schedule, batch, epochs) -> None:  # type: ignore[no-untyped-def]
    found = cnndsl.parse(name).recipe
    assert found is not None
    assert (found.optimiser, found.schedule, found.batch) == (optimiser, schedule, batch)
    assert found.epochs(2502) == epochs


@pytest.mark.parametrize("name", sorted(published_errors()))
def test_networks_with_published_errors_say_how_they_were_trained(name: str) -> None:
    assert cnndsl.parse(name).recipe is not None


def test_the_first_weights_of_alexnet() -> None:
    found = cnndsl.parse("alexnet_grouped").recipe
    assert found is not None
    assert found.all(Gaussian) == [Gaussian(0.01)]
    assert [item.value for item in found.all(Bias)] == [0, 1]
