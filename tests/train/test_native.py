"""The native engine against steps of the reference, and at the command line; without PyTorch."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import cnndsl
from cnndsl.backends.numpy import run_graph
from cnndsl.cli.main import commands
from cnndsl.diagnostics import CnnError
from cnndsl.recipes.augmentations import Flip, PcaColour, Shift
from cnndsl.recipes.course import Batch, Clip
from cnndsl.recipes.losses import CrossEntropy
from cnndsl.recipes.optimisers import Sgd
from cnndsl.recipes.recipe import Recipe
from cnndsl.runtime.module import Array
from cnndsl.train.changes import changed, colours_of
from cnndsl.train.data import Data, Images
from cnndsl.train.native import NativeTraining
from cnndsl.train.plan import Plan
from cnndsl.weights.bind import bind
from cnndsl.weights.sparsity import prune

NET = """
network tiny(classes=3) { input image [1, 6, 6]
    conv(4, 3, bias=false) -> bn -> relu -> maxpool(2) -> fc(classes) -> softmax }
"""


def samples(count: int) -> tuple[Array, Array]:
    """Images of three classes that differ in their mean."""
    random = np.random.default_rng(0)
    labels = random.integers(3, size=count)
    means = random.normal(size=(3, 1, 6, 6))
    noise = random.normal(size=(count, 1, 6, 6))
    return (means[labels] + 0.5 * noise).astype(np.float32), labels


def test_steps_are_those_of_the_reference(tmp_path: Path) -> None:
    """Losses, weights and running statistics of SGD with momentum, written out here."""
    net, (images, labels) = cnndsl.parse(NET), samples(32)
    (kind,) = net.inputs.values()
    part = Images(images, labels, kind)
    recipe = Recipe.of(Sgd(rate=0.1, momentum=0.9), CrossEntropy(smoothing=0.1))
    plan = Plan(tmp_path / "w.safetensors", seed=1, threads=1)
    training = NativeTraining(net, Data(part, part, ("a", "b", "c")), recipe, plan)
    values = {name: array.astype(np.float64) for name, array in training.weights().items()}
    velocity: dict[str, Array] = {}
    back = cnndsl.gradients(net).graph
    target = np.full((8, 3), 0.1 / 3)
    losses = []
    for start in range(0, 32, 8):
        x, own = images[start : start + 8], labels[start : start + 8]
        target = np.full((8, 3), 0.1 / 3) + 0.9 * np.eye(3)[own]
        wanted = run_graph(back, values, {"image": x.astype(np.float64), "target": target})
        losses.append(float(wanted["loss"][0]))
        assert abs(training.step(x, own, 0.1) / losses[-1] - 1) <= 1e-5
        for name, array in wanted.items():
            weight = name.removesuffix(".gradient")
            if weight != name:
                velocity[weight] = 0.9 * velocity.get(weight, 0.0) + array
                values[weight] = values[weight] - 0.1 * velocity[weight]
            elif name != "loss":
                values[name.removesuffix(".updated")] = array
    assert losses[-1] < losses[0]
    for name, array in training.weights().items():
        np.testing.assert_allclose(array, values[name], rtol=1e-4, atol=1e-5)
    found = run_graph(net.graph, values, {"image": images})["output"]
    loss, accuracy = training.evaluate(part)
    assert accuracy == (found.argmax(1) == labels).mean()
    logs = np.log(found)
    smoothed = -(0.9 * logs[np.arange(32), labels] + 0.1 * logs.mean(1)).mean()
    assert abs(loss / smoothed - 1) <= 1e-5


def train(folder: Path, *more: object) -> Result:
    arguments = ["train", folder / "tiny.cnn", "--data", folder / "data.npz", "--engine", "native"]
    arguments += ["-o", folder / "tiny.safetensors", "--threads", 1, "--rate", 0.05, *more]
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def test_a_network_learns_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    (tmp_path / "tiny.cnn").write_text(NET)
    images, labels = samples(80)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    options = ("--batch", 8, "--schedule", "constant", "--epochs", 4)
    whole = train(tmp_path, *options)
    assert whole.exit_code == 0, whole.output
    rows = [json.loads(row) for row in (tmp_path / "tiny.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert max(row["accuracy"] for row in rows) >= 0.9
    module = cnndsl.compile(NET, target="reference", weights=tmp_path / "tiny.safetensors")
    assert module(images[:2]).shape == (2, 3)
    again = train(tmp_path, *options, "--resume", "--json")
    assert json.loads(again.stdout)["epochs"] == rows
    other = train(tmp_path, "--batch", 16, "--epochs", 5, "--resume")
    assert "E0762" in other.output


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    """Archives as PyTorch's, of arrays alone, and damaged ones."""
    (tmp_path / "tiny.cnn").write_text(NET)
    images, labels = samples(20)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    checkpoint = tmp_path / "tiny.checkpoint"
    with zipfile.ZipFile(checkpoint, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    by_pytorch = checkpoint.read_bytes()
    for content in (by_pytorch, (tmp_path / "data.npz").read_bytes(), b"PK no checkpoint"):
        checkpoint.write_bytes(content)
        output = train(tmp_path, "--resume").output
        assert "E0603" in output
        assert "the engine that wrote it" in output
    checkpoint.unlink()
    assert "E0601" in train(tmp_path, "--resume").output


@pytest.mark.filterwarnings("error")
def test_steps_beyond_float32_are_told_by_the_loss(tmp_path: Path) -> None:
    (tmp_path / "tiny.cnn").write_text(NET)
    images, labels = samples(20)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    output = train(tmp_path, "--batch", 2, "--with", "velocity(decay=1e38)").output
    assert "E0763" in output


def test_weights_for_no_parameter_are_no_start(tmp_path: Path) -> None:
    (tmp_path / "tiny.cnn").write_text(NET)
    images, labels = samples(40)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    options = ("--epochs", 1, "--weights", tmp_path / "data.npz")
    assert "E0404" in train(tmp_path, *options).stderr
    assert not (tmp_path / "tiny.safetensors").exists()


@pytest.mark.parametrize("ending", ["safetensors", "jsonl", "checkpoint"])
def test_pipes_are_neither_replaced_nor_waited_for(tmp_path: Path, ending: str) -> None:
    (tmp_path / "tiny.cnn").write_text(NET)
    images, labels = samples(8)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    os.mkfifo(tmp_path / f"tiny.{ending}")
    assert "E0602" in train(tmp_path, "--epochs", 1).stderr
    assert (tmp_path / f"tiny.{ending}").is_fifo()


def test_a_log_behind_a_link_is_written_there(tmp_path: Path) -> None:
    (tmp_path / "tiny.cnn").write_text(NET)
    images, labels = samples(40)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    (tmp_path / "log").write_text("old\n")
    (tmp_path / "tiny.jsonl").symlink_to("log")
    assert train(tmp_path, "--epochs", 2).exit_code == 0
    rows = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(row)["epoch"] for row in rows] == [0, 1]


def test_what_is_computed_again_changes_no_number(tmp_path: Path) -> None:
    net, (images, labels) = cnndsl.parse(NET), samples(8)
    (kind,) = net.inputs.values()
    part = Images(images, labels, kind)
    data, recipe = Data(part, part, ("a", "b", "c")), Recipe.of(Sgd(rate=0.1), Batch(8))
    losses = []
    for recompute in (None, "auto"):
        plan = Plan(tmp_path / "w.safetensors", seed=1, threads=1, recompute=recompute)
        training = NativeTraining(net, data, recipe, plan)
        operators = [node.op.name for node in training.gradients.graph.nodes()]
        assert ("again" in operators) == (recompute == "auto")
        losses.append([training.step(images, labels, 0.1) for _ in range(2)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    with pytest.raises(CnnError, match="E0630"):
        NativeTraining(net, data, recipe, replace(plan, recompute=1000))


def test_zeros_of_pruned_kernels_stay(tmp_path: Path) -> None:
    """One step is that of the gradients where there is no zero; of all steps no zero is left."""
    net, (images, labels) = cnndsl.parse(NET), samples(8)
    (kind,) = net.inputs.values()
    part = Images(images, labels, kind)
    data = Data(part, part, ("a", "b", "c"))
    recipe = Recipe.of(Sgd(rate=0.1, momentum=0.9), Clip(0.1))
    start = bind(net.graph.parameters(), None, seed=1).values
    pruned = prune(net.graph, start, [("*", 0.5)])
    plan = Plan(tmp_path / "w.safetensors", weights=pruned, threads=1, keep_zeros=True)
    training = NativeTraining(net, data, recipe, plan)
    back = cnndsl.gradients(net).graph
    wanted = run_graph(back, pruned, {"image": images, "target": np.eye(3)[labels]}, "float64")
    slopes = {name: wanted[f"{name}.gradient"] for name in pruned if f"{name}.gradient" in wanted}
    kernels = [name for name in pruned if name.endswith(".weight") and pruned[name].ndim > 1]
    assert len(kernels) == 2
    for name in kernels:
        slopes[name] = slopes[name] * (pruned[name] != 0)
    norm = np.sqrt(sum(np.square(slope).sum() for slope in slopes.values()))
    training.step(images, labels, 0.1)
    for name, slope in slopes.items():
        moved = pruned[name] - 0.1 * slope * min(1, 0.1 / norm)
        np.testing.assert_allclose(training.weights()[name], moved, rtol=1e-4, atol=1e-6)
    for _ in range(3):
        training.step(images, labels, 0.1)
    for name in kernels:
        np.testing.assert_array_equal(training.weights()[name] == 0, pruned[name] == 0)
    with pytest.raises(CnnError, match="E0404"):
        NativeTraining(net, data, recipe, replace(plan, weights=start))


@pytest.mark.parametrize(
    ("more", "said"), [(("--precision", "bf16"), "in f32"), (("--device", "cuda"), "on the CPU")]
)
def test_what_only_pytorch_does_is_refused(
    tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    (tmp_path / "tiny.cnn").write_text(NET)
    images, labels = samples(20)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    assert said in train(tmp_path, *more).output


def test_images_are_changed_as_a_recipe_says() -> None:
    """Each image by itself: turned or not, moved by some positions, of other colours."""
    random = np.random.default_rng(0)
    x = random.normal(size=(50, 3, 4, 5)).astype(np.float32)
    turned = changed(x, Recipe.of(Flip(0.5)), random, None)
    is_turned = (turned == x[..., ::-1]).all((1, 2, 3))
    assert ((turned == x).all((1, 2, 3)) ^ is_turned).all()
    assert 10 < is_turned.sum() < 40
    moved = changed(x, Recipe.of(Shift(1)), random, None)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    places = [(r, c) for r in range(3) for c in range(3)]
    fits = [(moved == padded[:, :, r : r + 4, c : c + 5]).all((1, 2, 3)) for r, c in places]
    assert np.any(fits, 0).all()
    assert np.any(fits, 1).all()
    colours = colours_of(x)
    pixels = np.moveaxis(x, 1, -1).reshape(-1, 3).astype(np.float64)
    lengths = np.linalg.norm(colours, axis=0)
    np.testing.assert_allclose(np.cov(pixels.T) @ colours, colours * lengths, rtol=1e-3)
    coloured = changed(x, Recipe.of(PcaColour(0.1)), random, colours)
    change = (coloured - x).reshape(50, 3, -1)
    assert np.ptp(change, axis=2).max() < 1e-5
    assert change.std() > 0
