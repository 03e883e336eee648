"""Crops, mirrored crops, scales, whole photos and ensembles, against sums written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnndsl
from tests.evaluation.support import (
    COVER,
    TEXT,
    Array,
    module,
    normal,
    photos,
    scores,
    softmax,
    ten,
    weights,
    windows,
)

SQUARE = [(COVER, COVER)]


def expected(found: Iterable[Array]) -> tuple[float, Array]:
    """The mean loss, and the confusions, of the probabilities of three images of each class."""
    loss, confusion = 0.0, np.zeros((3, 3), np.int64)
    rows = list(found)
    for index, probabilities in enumerate(rows):
        loss -= np.log(probabilities[index // 3])
        confusion[index // 3, probabilities.argmax()] += 1
    return loss / len(rows), confusion


def same(report: Any, found: Iterable[Array]) -> None:
    loss, confusion = expected(found)
    assert report.loss == pytest.approx(loss, abs=1e-6)
    np.testing.assert_array_equal(report.confusion, confusion)
    assert report.images == 9
    assert report.top1 == pytest.approx(np.trace(confusion) / 9)
    assert report.top5 == 1


def mean_probability(crops: Callable[[Array], Iterable[Array]], pixels: Array) -> Array:
    return np.mean([softmax(scores(crop)) for crop in crops(normal(pixels))], axis=0)


def centre(image: Array) -> list[Array]:
    return [image[:, 1:-1, 1:-1]]


def test_the_centre(tmp_path: Path) -> None:
    pixels = photos(tmp_path / "all", SQUARE)
    report = cnndsl.evaluate(module(), tmp_path / "all")
    same(report, [mean_probability(centre, p) for p in pixels])
    assert report.names == ("class0", "class1", "class2")


def test_mirrored(tmp_path: Path) -> None:
    pixels = photos(tmp_path / "all", SQUARE)
    report = cnndsl.evaluate(module(), tmp_path / "all", flip=True)
    both = lambda image: [*centre(image), centre(image)[0][:, :, ::-1]]  # noqa: E731
    same(report, [mean_probability(both, p) for p in pixels])


@pytest.mark.parametrize("target", ["reference", "onnx"])
def test_ten_crops(target: str, tmp_path: Path) -> None:
    pixels = photos(tmp_path / "all", SQUARE)
    report = cnndsl.evaluate(module(target=target), tmp_path / "all", crops="ten")
    same(report, [mean_probability(ten, p) for p in pixels])


def test_ten_crops_of_a_wide_photo_are_of_its_middle(tmp_path: Path) -> None:
    pixels = photos(tmp_path / "all", [(COVER, 16), (20, COVER)])
    middles = [p[:, 3:13] if p.shape[0] == COVER else p[5:15] for p in pixels]
    report = cnndsl.evaluate(module(), tmp_path / "all", crops="ten")
    same(report, [mean_probability(ten, p) for p in middles])


@pytest.mark.parametrize("model", ["text", "onnx"])
def test_whole_photos(model: str, tmp_path: Path) -> None:
    """Each position of the map is a crop; the mean of their scores is taken before the softmax."""
    pixels = photos(tmp_path / "all", [(COVER, COVER), (COVER, 15), (13, COVER)])
    given: Any = {"models": TEXT, "weights": weights(), "target": "reference"}
    if model == "onnx":
        module(target="onnx").save(tmp_path / "small.onnx")
        given = {"models": tmp_path / "small.onnx"}
    report = cnndsl.evaluate(images=tmp_path / "all", crops="dense", **given)
    means = [np.mean([scores(c) for c in windows(normal(p))], axis=0) for p in pixels]
    same(report, map(softmax, means))


def test_whole_photos_mirrored(tmp_path: Path) -> None:
    pixels = photos(tmp_path / "all", [(COVER, 15)])
    report = cnndsl.evaluate(
        TEXT, tmp_path / "all", crops="dense", flip=True, target="reference", weights=weights()
    )
    found = [
        np.mean(
            [
                softmax(np.mean([scores(c) for c in windows(image)], axis=0))
                for image in (normal(p), normal(p)[:, :, ::-1])
            ],
            axis=0,
        )
        for p in pixels
    ]
    same(report, found)


def test_scales(tmp_path: Path) -> None:
    pixels = photos(tmp_path / "all", SQUARE)
    small = [
        np.asarray(Image.fromarray(p).resize((8, 8), Image.Resampling.BILINEAR)) for p in pixels
    ]
    found = [
        (softmax(scores(centre(normal(p))[0])) + softmax(scores(normal(s)))) / 2
        for p, s in zip(pixels, small, strict=True)
    ]
    same(cnndsl.evaluate(module(), tmp_path / "all", scales=[10, 8]), found)
    with pytest.raises(cnndsl.CnnError, match="E0224"):
        cnndsl.evaluate(module(), tmp_path / "all", scales=[10, 7])


def test_an_ensemble_is_the_mean_of_probabilities(tmp_path: Path) -> None:
    pixels = photos(tmp_path / "all", SQUARE)
    report = cnndsl.evaluate([module(0), module(1, "onnx")], tmp_path / "all")
    crops = [centre(normal(p))[0] for p in pixels]
    same(report, [(softmax(scores(c, 0)) + softmax(scores(c, 1))) / 2 for c in crops])


def test_models_of_different_inputs(tmp_path: Path) -> None:
    """Each sees the photo as its own text says."""
    photos(tmp_path / "all", [(16, 16)])
    grey = "network grey {\n    input image [1, 4, 4] photo(crop=1)\n    fc: fc(3)\n}\n"
    other = cnndsl.compile(grey, "reference", seed=3)
    one, two = (cnndsl.evaluate(m, tmp_path / "all").loss for m in (module(), other))
    assert one != two
    assert cnndsl.evaluate([module(), other], tmp_path / "all").loss < max(one, two)
