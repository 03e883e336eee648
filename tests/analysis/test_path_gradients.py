"""Gradients along single paths: those of all paths together are the gradient."""

from __future__ import annotations

import json
import pathlib
from collections import Counter

import numpy as np
import pytest

import cnndsl
from cnndsl.analysis.paths import paths
from cnndsl.cli.main import main
from cnndsl.measure.path_gradients import Path, draw, path_gradients, with_masks
from cnndsl.network import Network

TEXT = """
block unit {
    add { conv(3, 3) -> relu -> conv(3, 3) | identity | conv(3, 1) } -> relu
}
network n {
    input image [2, 5, 5]
    conv(3, 3) -> relu
    repeat 2 { unit }
    concat { identity | conv(2, 3) }
    global_avgpool -> fc(4)
}
"""


def every_path(graph: cnndsl.Network) -> list[Path]:
    """All paths, by a walk backwards along every operand."""
    found: list[Path] = []

    def walk(name: str, length: int, turns: frozenset[tuple[str, int]]) -> None:
        node = graph.graph[name]
        length += f"{name}.weight" in graph.graph.parameters()
        names = [producer.name for producer in graph.graph.producers(node)]
        if not names:
            found.append(Path(length, "output", turns))
        for index, before in enumerate(names):
            more = {(name, index)} if len(names) > 1 else set()
            walk(before, length, turns | more)

    walk(graph.graph.outputs["output"], 0, frozenset())
    return found


def test_all_paths_together_are_the_gradient() -> None:
    net = cnndsl.parse(TEXT)
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 5)).astype(np.float32)
    seed = np.zeros((1, 4), np.float32)
    seed[0, 2] = 1
    whole = cnndsl.compile(
        cnndsl.gradients(net, None, by=["image"], training=False), target="reference", seed=3
    )
    (expected,) = whole.run({"image": x, "output.gradient": seed}).values()
    masked = cnndsl.compile(Network(with_masks(net.graph)), target="reference", seed=3)
    every = every_path(net)
    assert Counter(path.length for path in every) == Counter(
        {n: paths(net.graph).counts[n] for n in paths(net.graph).lengths}
    )
    feed = {"image": np.repeat(x, len(every), 0), "output.gradient": np.repeat(seed, len(every), 0)}
    for port in masked.inputs:
        if port.name not in feed:
            node, _, index = port.name.rpartition(".from")
            on = [(node, int(index)) in path.turns for path in every]
            feed[port.name] = np.array(on, np.float32)[:, None]
    (parts,) = masked.run(feed).values()
    np.testing.assert_allclose(parts.sum(0), expected[0], rtol=1e-4, atol=1e-6)
    norms = np.sqrt((parts.astype(np.float64) ** 2).reshape(len(every), -1).sum(1))
    assert (norms > 0).mean() > 0.5


def test_paths_are_drawn_evenly() -> None:
    net = cnndsl.parse(TEXT)
    every = Counter(path.length for path in every_path(net))
    drawn = Counter(draw(net.graph, 1000, 0))
    for length, count in every.items():
        times = [n for path, n in drawn.items() if path.length == length]
        assert (len(times), sum(times)) == (count, 1000)
        expected = 1000 / count
        deviation = np.sqrt(expected * (1 - 1 / count))
        assert max(abs(n - expected) for n in times) <= 5 * deviation


def test_the_gradient_of_a_path_is_the_product_of_its_weights(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "network n { input x [1]\n repeat 2 { add { fc(1, bias=false) | identity } } }"
    weights = {"fc1.weight": np.full((1, 1), 2, "f"), "fc2.weight": np.full((1, 1), -3, "f")}
    found = path_gradients(cnndsl.parse(text), target="reference", samples=16, weights=weights)
    assert (found[0], found[2]) == (1, 6)
    assert found[1] in [(2 * n + 3 * (16 - n)) / 16 for n in range(17)]
    np.savez(tmp_path / "w.npz", **weights)
    (tmp_path / "n.cnn").write_text(text)
    command = ["inspect", str(tmp_path / "n.cnn"), "--paths", "--gradients", "4", "--json"]
    assert main([*command, "--weights", str(tmp_path / "w.npz")]) == 0
    rows = json.loads(capsys.readouterr().out)["lengths"]
    assert [rows[0]["gradient"], rows[2]["gradient"]] == [1, 6]
    assert main([*command[:-1], "--seed", "3", "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "length,paths,share,gradient"
    assert main(["inspect", text, "--gradients", "4"]) == 2
    assert main(["inspect", text, "--paths", "--input", "x.npy"]) == 2
    assert main(["inspect", text, "--paths", "--weights", "w.npz"]) == 2


def test_the_paths_take_the_samples_by_turns(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gate g = relu(x) lets a gradient of 1 through where x is above 0, else nothing."""
    np.save(tmp_path / "x.npy", np.array([[1], [-1], [-1], [-1]], np.float32))
    text = "network n { input x [1]\n relu }"
    command = ["inspect", text, "--paths", "--gradients", "8", "--json"]
    assert main([*command, "--input", str(tmp_path / "x.npy")]) == 0
    assert json.loads(capsys.readouterr().out)["lengths"][0]["gradient"] == 1 / 4
    assert main([*command, "--images", str(tmp_path)]) == 2
    assert "E0604" in capsys.readouterr().err
    assert main([*command, "--resize", "8"]) == 2
