"""Ranks, losses and confusions, what outputs hold, and images that cannot be read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import cnndsl
from cnndsl.evaluation.scores import Outcome, Unreadable, outcome, report
from tests.evaluation.support import TEXT, module, photos, scores, softmax, weights

Call = Callable[..., tuple[int, str, str]]

PLAIN = "network n {{\n    input image [3, 8, 8] photo(crop=1)\n    {}\n}}\n"


def test_ranks_and_ties() -> None:
    shares = np.array([0.1, 0.3, 0.3, 0.05, 0.05, 0.2])
    ranks = [outcome(0, label, shares).rank for label in range(6)]
    assert ranks == [3, 0, 1, 4, 5, 2]
    assert outcome(0, 1, shares) == Outcome(0, 1, 1, 0, -np.log(0.3))
    assert outcome(0, 0, np.array([0.0, 1.0])).loss < 1000


def test_a_report_does_not_depend_on_the_order() -> None:
    random = np.random.default_rng(0)
    rows = [
        outcome(i, int(random.integers(8)), softmax(random.normal(0, 2, 8))) for i in range(100)
    ]
    some: list[Outcome | Unreadable] = [*rows, Unreadable(100, "x.png", "it is broken")]
    one, other = (report(r, 8, (), distribution=True) for r in (some, some[::-1]))
    assert one.as_dict() == other.as_dict()
    assert one.images == 100
    assert one.top1 == np.mean([row.answer == row.label for row in rows])
    assert one.top5 == np.mean([row.rank < 5 for row in rows])
    assert one.loss == pytest.approx(np.mean([row.loss for row in rows]), rel=1e-12)
    wrong = {(r["class"], r["answer"]): r["images"] for r in one.as_dict()["confused"]}
    for label, answer in np.ndindex(8, 8):
        count = sum((row.label, row.answer) == (label, answer) for row in rows)
        assert one.confusion[label, answer] == count
        assert wrong.get((label, answer), 0) == (count if label != answer else 0)
    assert sum(row["images"] for row in one.classes()) == 100


@pytest.mark.parametrize(
    ("end", "options"),
    [
        ("softmax", {}),
        ("softmax", {"logits": True}),
        ("log_softmax -> identity", {}),
        ("identity", {}),
        ("dropout", {}),
    ],
)
def test_what_an_output_holds_is_known(end: str, options: dict[str, Any], tmp_path: Path) -> None:
    photos(tmp_path / "all", [(10, 10)])
    plain = cnndsl.evaluate(module(), tmp_path / "all")
    other = cnndsl.compile(TEXT.replace("softmax", end), "reference", seed=0, **options)
    other.set_weights(weights())
    found = cnndsl.evaluate(other, tmp_path / "all")
    assert found.loss == pytest.approx(plain.loss, abs=1e-6)
    np.testing.assert_array_equal(found.confusion, plain.confusion)


def test_sigmoids_are_no_distribution_and_distances_are_turned(tmp_path: Path) -> None:
    photos(tmp_path / "all", [(10, 10)])
    found = cnndsl.evaluate(PLAIN.format("fc(3) -> sigmoid"), tmp_path / "all",
                            target="reference", weights=fc_weights())  # fmt: skip
    plain = cnndsl.evaluate(PLAIN.format("fc(3)"), tmp_path / "all",
                            target="reference", weights=fc_weights())  # fmt: skip
    assert found.loss is None
    assert plain.loss is not None
    np.testing.assert_array_equal(found.confusion, plain.confusion)
    centres = np.random.default_rng(4).random((3, 192)).astype(np.float32)
    far = cnndsl.evaluate(PLAIN.format("flatten -> rbf(3)"), tmp_path / "all",
                          target="reference", weights={"rbf1.centres": centres})  # fmt: skip
    paths = sorted((tmp_path / "all").rglob("*.png"))
    for path, row in zip(paths, np.repeat(np.arange(3), 3), strict=True):
        image = Image.open(path).resize((8, 8), Image.Resampling.BILINEAR)
        x = (np.asarray(image) / 255).transpose(2, 0, 1).ravel()
        assert far.confusion[row, ((centres - x) ** 2).sum(1).argmin()] > 0


def fc_weights() -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(2)
    return {"fc1.weight": random.normal(size=(3, 192)).astype(np.float32) / 20,
            "fc1.bias": np.zeros(3, np.float32)}  # fmt: skip


@pytest.mark.parametrize("end", ["softmax", "identity"])
def test_a_foreign_model_shows_what_it_holds(end: str, tmp_path: Path) -> None:
    photos(tmp_path / "all", [(8, 8)])
    made = module(target="onnx", text=TEXT.replace("softmax", end))
    made.save(tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "b.onnx")
    told = {"crop": 0.8, "mean": (0.4,), "std": (0.3,)}
    one = cnndsl.evaluate(tmp_path / "a.onnx", tmp_path / "all")
    other = cnndsl.evaluate(tmp_path / "b.onnx", tmp_path / "all", photo=told)
    assert other.as_dict() == one.as_dict()


def test_a_thousand_images_of_which_three_cannot_be_read(tmp_path: Path, call: Call) -> None:
    random = np.random.default_rng(1)
    for label in "ab":
        (tmp_path / "all" / label).mkdir(parents=True)
    for index in range(997):
        pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "all" / "ab"[index % 2] / f"{index:04}.bmp")
    (tmp_path / "all" / "a" / "0101.png").write_bytes(b"no image")
    whole = (tmp_path / "all" / "b" / "0001.bmp").read_bytes()
    (tmp_path / "all" / "b" / "0101x.bmp").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "all" / "b" / "empty.jpg").write_bytes(b"")
    Path("n.cnn").write_text(PLAIN.format("global_avgpool -> fc(2)"))
    arguments = ("evaluate", "n.cnn", "--seed", 0, "--target", "reference", "--images", "all")
    code, out, err = call(*arguments, "--json", "--strict")
    found = json.loads(out)
    assert (code, found["images"]) == (2, 997)
    names = ["all/a/0101.png", "all/b/0101x.bmp", "all/b/empty.jpg"]
    assert [row["image"] for row in found["unreadable"]] == names
    assert all(name in err for name in names)


def test_several_processes_find_the_same(tmp_path: Path, call: Call) -> None:
    photos(tmp_path / "all", [(10, 12), (16, 11)], per_class=12)
    (tmp_path / "all" / "class1" / "broken.png").write_bytes(b"no image")
    module().save(tmp_path / "a.cnnref")
    module(1).save(tmp_path / "b.cnnref")
    arguments = ("evaluate", "a.cnnref", "b.cnnref", "--images", "all", "--crops", "ten", "--json")
    one, two = (call(*arguments, *more) for more in ((), ("--jobs", 2)))
    assert (one[0], two[0]) == (0, 0)
    assert json.loads(one[1]) == json.loads(two[1])
    assert json.loads(one[1])["images"] == 36


def test_a_script_needs_no_guard_for_several_processes(tmp_path: Path) -> None:
    photos(tmp_path / "all", [(10, 12), (16, 11)], per_class=12)
    module().save(tmp_path / "a.cnnref")
    script = tmp_path / "script.py"
    script.write_text(
        "import cnndsl\nprint('begun')\n"
        "print(cnndsl.evaluate('a.cnnref', 'all', crops='ten', jobs=2).as_dict()['images'])\n"
    )
    command = [sys.executable, script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("begun\n36\n", "", 0)


def test_what_is_printed(tmp_path: Path, call: Call) -> None:
    photos(tmp_path / "all", [(10, 10)])
    module().save(tmp_path / "a.cnnref")
    code, out, _ = call("evaluate", "a.cnnref", "--images", "all", "--confusion", "--per-class")
    assert code == 0
    first, classes, confusion = out.split("\n\n")
    assert [line.split()[0] for line in first.splitlines()] == ["images", "top-1", "top-5", "loss"]
    assert [line.split()[:2] for line in classes.splitlines()[1:]] == [
        [f"class{i}", "3"] for i in range(3)
    ]
    table = np.array([line.split()[1:] for line in confusion.splitlines()[1:]], int)
    assert (table.sum(), table.shape) == (9, (3, 3))
    assert f"{np.trace(table) / 9:.2%}" in first


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("fc(3)", ("--crops", "dense", "--scales", "4"), "below the height"),
        ("fc(3)", ("--scales", "9,x"), "no heights in pixels"),
        ("fc(2)", (), "3 folders, the network tells 2"),
        ("conv(3, 3)", (), "no vector of classes"),
        ("output a = fc(3)\n    output b = fc(3)", (), "which output tells the class: a, b?"),
        ("output a = fc(3)\n    output b = fc(3)", ("--output", "c"), "outputs: a, b"),
        ("fc(3) -> scale(1e38) -> scale(1e38)", (), "not finite"),
        ("fc(3)", ("--labels", "none.txt"), "none.txt"),
    ],
)
def test_what_cannot_be_evaluated(
    text: str, options: tuple[str, ...], said: str, tmp_path: Path, call: Call
) -> None:
    photos(tmp_path / "all", [(10, 10)], per_class=1)
    Path("n.cnn").write_text(PLAIN.format(text))
    arguments = ("evaluate", "n.cnn", "--seed", 0, "--target", "reference", "--images", "all")
    code, out, err = call(*arguments, *options)
    assert (code, out) == (2, "")
    assert said in err


def test_arrays_are_inputs_already(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(20, 3, 8, 8)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 3, 20)
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    found = cnndsl.evaluate(module(), tmp_path / "a.npz")
    losses = [-np.log(softmax(scores(x))[y]) for x, y in zip(images, labels, strict=True)]
    assert found.loss == pytest.approx(np.mean(losses), abs=1e-6)
    with pytest.raises(cnndsl.CnnError, match="neither cropped nor scaled"):
        cnndsl.evaluate(module(), tmp_path / "a.npz", crops="ten")
