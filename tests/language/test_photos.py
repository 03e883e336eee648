"""How a photo becomes an input: what a text says, and all that carries it along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnndsl
from cnndsl.decompile import decompile
from cnndsl.ir.photo import Photo
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.passes.pipeline import inference_graph
from cnndsl.runtime.image import load_image
from cnndsl.runtime.photos import chosen, photos_of

ALL = (
    "photo(resize=32, interpolation=bicubic, mean=[10, 20, 30], std=[50, 60, 70], "
    "order=bgr, range=255)"
)
READ = Photo(
    None, 0.875, "bicubic", (10.0, 20.0, 30.0), (50.0, 60.0, 70.0), order="bgr", range=255.0
)


def network(photo: str, shape: str = "[3, 28, 28]", **named: Any) -> cnndsl.Network:
    text = f"network n(m=0.5) {{\n    input image {shape} {photo}\n    conv(2, 3)\n}}\n"
    return cnndsl.parse(text, **named)


@pytest.mark.parametrize(
    ("said", "shape", "meant"),
    [
        ("photo()", "[3, 28, 28]", Photo(crop=0.875)),
        (ALL, "[3, 28, 28]", READ),
        ("photo(mean=m, std=2*m)", "[3, 28, 28]", Photo(crop=0.875, mean=(0.5,), std=(1.0,))),
        ("photo(resize=342)", "[1, 299, 299]", Photo(crop=299 / 342)),
        ("photo(resize=342, crop=0.875)", "[3, 299, 299]", Photo(crop=299 / 342)),
        ("photo(crop=1)", "[3, 28, 28]", Photo(crop=1.0)),
        ("photo(resize=520)", "[3, 8*H, W]", Photo(resize=520)),
    ],
)
def test_what_a_text_says(said: str, shape: str, meant: Photo) -> None:
    net = network(said, shape)
    assert net.graph.photos == net.photos == {"image": meant}


def test_defaults() -> None:
    text = (
        "defaults photo(mean=[1, 2, 3], std=4, crop=1)\n"
        "network n {\n    input a [3, 8, 8] photo(std=0.5)\n    input b [3, 8, 8]\n"
        "    defaults photo(mean=0)\n    input c [3, 8, 8] photo()\n    add { a | b | c }\n}\n"
    )
    assert cnndsl.parse(text).photos == {
        "a": Photo(crop=1, mean=(1, 2, 3), std=(0.5,)),
        "c": Photo(crop=1, mean=(0,), std=(4,)),
    }


@pytest.mark.parametrize(
    ("default", "code"),
    [
        ("photo(0.5)", "E0205"),
        ("photo(size=3)", "E0205"),
        ("photo(range=7)", "E0309"),
        ("photo(mean=[1, 2])", "E0224"),
        ("photo(interpolation=bilinera)", "E0201"),
    ],
)
def test_a_wrong_default_is_found_once(default: str, code: str) -> None:
    text = f"defaults {default}\nnetwork n {{\n    input a [3, 8, 8] photo()\n    relu\n}}\n"
    with pytest.raises(cnndsl.CnnError) as caught:
        cnndsl.parse(text)
    assert [each.code for each in caught.value.diagnostics] == [code]
    assert caught.value.diagnostics[0].span.start < text.index("network")


def test_defaults_of_a_block_called_photo_are_its_own() -> None:
    net = cnndsl.parse(
        "block photo(mean=2) { conv(mean, 3) }\ndefaults photo(mean=4)\n"
        "network n {\n    input rgb [3, 8, 8] photo(mean=0.5)\n    photo\n}\n"
    )
    assert net.photos == {"rgb": Photo(crop=0.875, mean=(0.5,))}
    assert str(net.outputs["output"]) == "4x8x8"


def test_the_share_is_kept_at_other_sizes() -> None:
    shapes = {"image": (3, 56, 56)}
    assert network("photo(resize=32)", input_shapes=shapes).photos["image"].cover(56) == 64
    known = network("photo(resize=520)", "[3, H, W]", input_shapes={"image": (3, 600, 600)})
    assert known.photos == {"image": Photo(resize=520)}
    opened = network("photo(resize=32)").open_graph(["height"])
    assert opened.photos == {"image": Photo(crop=0.875)}


def test_a_word_is_free_where_no_photo_is() -> None:
    text = (
        "block photo(box) { conv(box, 3) }\nnetwork n {\n    input rgb [3, 8, 8]\n    photo(4)\n}\n"
    )
    net = cnndsl.parse(text)
    assert net.photos == {}
    assert [str(net.graph[name].type) for name in net.graph.inputs] == ["3x8x8"]


@pytest.mark.parametrize(
    ("said", "shape"),
    [
        (ALL, "[3, 28, 28]"),
        ("photo(resize=342)", "[3, 299, 299]"),
        ("photo(crop=0.8975)", "[3, 299, 299]"),
        ("photo(resize=520, mean=0.5)", "[3, H, W]"),
        ("photo()", "[1, 28, 28]"),
    ],
)
def test_a_graph_keeps_it_through_all_that_copies_it(said: str, shape: str, tmp_path: Path) -> None:
    net = network(said, shape)
    graph, photos = net.graph, net.graph.photos
    again = cnndsl.parse(decompile(graph, "n").text).graph
    assert again.photos == dict(zip(again.inputs, photos.values(), strict=True))
    assert from_json(json.loads(json.dumps(to_json(graph)))).photos == photos
    assert inference_graph(graph).photos == photos
    path = tmp_path / "n.onnx"
    cnndsl.compile(net, "onnx", seed=0).save(path)
    assert photos_of(cnndsl.load(path).metadata) == photos
    assert cnndsl.load_onnx(path).photos == photos
    assert photos_of(cnndsl.compile(net, "reference", seed=0).metadata) == photos


def test_a_changed_photo_is_a_changed_network() -> None:
    net = network(ALL)
    assert not net.edited
    net.graph.photos["image"] = Photo()
    assert net.edited


@pytest.mark.parametrize(
    "entry", ["{", "[]", "[" * 100_000, '{"image": {"crop": 2}}', '{"image": {"size": 2}}']
)
def test_broken_metadata_are_an_error(entry: str) -> None:
    with pytest.raises(cnndsl.CnnError, match="E0603"):
        photos_of({"photos": entry})


def test_channels_order_and_range(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    net = network(ALL.replace("resize=32", "crop=1"))
    found = load_image(tmp_path / "a.png", net.inputs["image"], net.photos["image"])
    expected = (pixels[:, :, ::-1].astype(np.float64) - [10, 20, 30]) / [50, 60, 70]
    np.testing.assert_allclose(found[0], expected.transpose(2, 0, 1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["nearest", "box", "bicubic", "lanczos"])
def test_interpolations(name: str, tmp_path: Path) -> None:
    """An edge: only some interpolations ring, and only one has no value between."""
    pixels = np.zeros((40, 40), np.uint8) + np.uint8(200) * (np.arange(40) >= 19).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "edge.png")
    net = network(f"photo(crop=1, interpolation={name})", "[1, 16, 16]")
    row = load_image(tmp_path / "edge.png", net.inputs["image"], net.photos["image"])[0, 0, 8]
    levels = set(np.round(row * 255).astype(int))
    assert (len(levels) == 2) == (name == "nearest")
    assert (max(levels) > 200) == (name in ("bicubic", "lanczos"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"crop": float("nan")}, "crop takes a number over 0, at most 1"),
        ({"crop": 2}, "crop takes a number over 0, at most 1"),
        ({"mean": "grey"}, "mean takes a number"),
        ({"order": "gbr"}, "order takes"),
        ({"size": 3}, "photo has no argument 'size'"),
        ({"std": 1e-40}, "too large for float32"),
        ({"std": 1e-50}, "float32 starts at 1e-45"),
        ({"mean": [1e39, 0, 0]}, "float32 ends at 3.402823e+38"),
    ],
)
def test_what_is_said_in_calls_is_checked_as_in_texts(given: dict[str, object], said: str) -> None:
    with pytest.raises(cnndsl.CnnError, match="E0224") as caught:
        chosen(None, given, network("photo()").inputs["image"])
    assert said in str(caught.value)
