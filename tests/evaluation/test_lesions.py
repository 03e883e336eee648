"""Networks without some residual units, against the same networks written without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import cnndsl

Call = Callable[..., tuple[int, str, str]]

UNITS = "block unit {{ add {{ conv(4, 3) | identity }} -> relu }}\n"
TEXT = (
    UNITS
    + """network n {{
    input image [3, 6, 6]
    conv(4, 3) -> relu
    {}
    global_avgpool -> fc(5)
}}
"""
)
PATHS = ["a.0", "a.1", "a.2"]


@pytest.fixture
def files(call: Call) -> None:
    random = np.random.default_rng(0)
    images = random.standard_normal((60, 3, 6, 6)).astype(np.float32)
    whole = TEXT.format("a: repeat 3 { unit }")
    parameters = cnndsl.parse(whole).graph.parameters().values()
    np.savez("w.npz", **{p.name: random.normal(0, 0.5, p.shape).astype("f") for p in parameters})
    answers = cnndsl.compile(whole, target="reference", weights="w.npz")(images).argmax(1)
    labels = np.where(np.arange(60) < 45, answers, (answers + 1) % 5)
    np.savez("data.npz", images=images, labels=labels)
    Path("n.cnn").write_text(whole)


def error_without(*paths: str) -> float:
    """The error of the network whose parts are written one by one, with the same weights."""
    kept = [path for path in PATHS if path not in paths]
    names = {path: path.replace(".", "_") for path in kept}
    net = cnndsl.parse(TEXT.format("\n".join(f"{names[path]}: unit" for path in kept)))
    arrays = dict(np.load("w.npz"))
    for path in kept:
        for role in ("weight", "bias"):
            arrays[f"{names[path]}.conv1.{role}"] = arrays[f"{path}.conv1.{role}"]
    own = {name: arrays[name] for name in net.graph.parameters()}
    data = np.load("data.npz")
    answers = cnndsl.compile(net, target="reference", weights=own)(data["images"]).argmax(1)
    return float((answers != data["labels"]).mean())


@pytest.mark.usefixtures("files")
def test_each_unit_in_turn(call: Call) -> None:
    arguments = ("evaluate", "n.cnn", "--weights", "w.npz", "--images", "data.npz")
    arguments = (*arguments, "--target", "reference", "--lesion")
    code, out, _ = call(*arguments, "each", "--json")
    rows = json.loads(out)["lesions"]
    assert code == 0
    assert [row["deleted"] for row in rows] == [[], *([path] for path in PATHS)]
    for row in rows:
        assert row["error"] == pytest.approx(error_without(*row["deleted"]), abs=1e-12)
    assert rows[0]["error"] == 0.25
    _, table, _ = call(*arguments, "each")
    lines = [line.split() for line in table.splitlines()]
    assert [line[1] for line in lines[1:]] == ["nothing", *PATHS]
    assert [line[2] for line in lines[1:]] == [f"{row['error']:.2%}" for row in rows]
    code, out, _ = call(*arguments, "3", "--json")
    rows = json.loads(out)["lesions"]
    assert [len(row["deleted"]) for row in rows] == [0, 1, 2, 3]
    assert sorted(rows[3]["deleted"]) == PATHS
    assert all(one["deleted"] == two["deleted"][:-1] for one, two in pairwise(rows))
    for row in rows:
        assert row["error"] == pytest.approx(error_without(*row["deleted"]), abs=1e-12)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("n.cnn", "--lesion", "4"), "has 3 residual units, not 4"),
        (("n.cnn", "--lesion", "some"), "neither `each` nor a number"),
        (("n.cnn", "n.cnn", "--lesion", "each"), "one network"),
        (("m.cnnref", "--lesion", "each"), "one network"),
        (("n.cnn", "--lesion", "each", "--confusion"), "do not go with --lesion"),
        (("plain.cnn", "--lesion", "each"), "no residual units"),
    ],
)
def test_what_cannot_be(call: Call, given: tuple[str, ...], said: str) -> None:
    Path("plain.cnn").write_text(TEXT.format(""))
    more = ("--weights", "w.npz", "--images", "data.npz", "--target", "reference")
    code, _, err = call("evaluate", *given, *more)
    assert code == 2
    assert said in err
