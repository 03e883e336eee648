"""What published networks take in the language: short texts, with all of their parameters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import cnndsl
from cnndsl.format import format_source

TEXTS = Path(__file__).parent / "texts"
ZOO = Path(__file__).parents[2] / "networks"


def unet(depth: int, width: int) -> int:
    """Two 3x3 convolutions a level, once down and once up, 2x2 to go up, one 1x1 at the end."""

    def double(before: int, after: int) -> int:
        return 9 * before * after + after + 9 * after * after + after

    widths = [width * 2**level for level in range(depth + 1)]
    down = sum(map(double, [1, *widths], widths))
    up = sum(4 * 2 * n * n + n + double(2 * n, n) for n in widths[:-1])
    return down + up + 2 * width + 2


def fractalnet(columns: int) -> int:
    """Of 2**columns - 1 convolutions of a block, `columns` read what comes into it."""
    total, before = 0, 3
    for width in (64, 128, 256):
        units = 2**columns - 1
        total += columns * 9 * before * width + (units - columns) * 9 * width * width
        total += units * 3 * width  # the bias, and what a normalisation learns
        before = width
    return total + 256 * 10 + 10


@pytest.mark.parametrize(
    ("name", "settings", "lines", "parameters"),
    [
        ("unet", {}, 14, unet(4, 64)),
        ("unet", {"depth": 2, "width": 6}, 14, unet(2, 6)),
        ("unet", {"depth": 0, "width": 6}, 14, unet(0, 6)),
        ("fractalnet", {}, 8, fractalnet(4)),
        ("fractalnet", {"columns": 1}, 8, fractalnet(1)),
        ("fractalnet", {"columns": 6}, 8, fractalnet(6)),
        ("espcn", {}, 5, (25 + 1) * 64 + (9 * 64 + 1) * 32 + (9 * 32 + 1) * 9),
        ("style", {}, 11, 1_679_235),  # PyTorch's fast_neural_style
        # timm's hrnet_w18_small
        ("hrnet_w18_small", {}, 40, 13_187_464),
        # torchvision's deeplabv3_resnet50, less its body and the auxiliary head
        ("aspp", {}, 11, 42_004_074 - 23_508_032 - (9 * 1024 * 256 + 2 * 256 + 256 * 21 + 21)),
        # torchvision's retinanet_resnet50_fpn, where normalisations learn nothing
        ("retinanet", {}, 31, 34_014_999 + 53_120),
    ],
)
def test_parameters(name: str, settings: dict[str, Any], lines: int, parameters: int) -> None:
    path = TEXTS / f"{name}.cnn"
    text = path.read_text("utf-8")
    assert format_source(text) == text
    assert text.count("\n") <= lines
    assert cnndsl.check(path) == []
    net = cnndsl.parse(path, settings=settings)
    assert net.params == parameters


@pytest.mark.parametrize(
    ("spec", "most"),
    [
        ("convnext.cnn:convnext_tiny", 15),
        ("deeplab.cnn:deeplabv3_resnet50", 20),
        ("efficientnet.cnn:efficientnet_b0", 25),
        ("fractalnet.cnn:fractalnet", 8),
        ("hrnet.cnn:hrnet_w18_small", 35),
        ("super_resolution.cnn:espcn", 5),
        ("unet_2015.cnn:unet_2015", 14),
        ("yolov5.cnn:yolov5s", 35),
    ],
)
def test_lines_in_the_zoo(spec: str, most: int) -> None:
    """Neither blank ones, comments, recipes nor the other networks of the family are counted."""
    file, _, name = spec.partition(":")
    text = (ZOO / file).read_text("utf-8").partition("\nrecipe ")[0]
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    others = [each for each in lines if re.match(rf"network (?!{name}\b)\w+ = ", each)]
    assert len(lines) - len(others) <= most


def test_the_branches_of_hrnet_exchange_all_with_all() -> None:
    graph = cnndsl.parse(TEXTS / "hrnet_w18_small.cnn").graph
    sums = [n for n in graph.nodes() if n.name.startswith("exchange") and ".add" in n.name]
    assert [len(graph.producers(n)) for n in sums] == [2] * 2 + [3] * 3 + [4] * 4
    assert [str(n.type) for n in sums[-4:]] == ["16x56x56", "32x28x28", "64x14x14", "128x7x7"]


def test_outputs_of_retinanet_are_one_for_each_level() -> None:
    graph = cnndsl.parse(TEXTS / "retinanet.cnn").graph
    names = [f"{kind}{level}" for level in range(3, 8) for kind in ("cls", "box")]
    assert list(graph.outputs) == names
    assert [str(graph[graph.outputs[f"box{i}"]].type) for i in (3, 7)] == ["36x64x64", "36x4x4"]
