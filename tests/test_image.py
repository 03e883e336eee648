"""Photos as inputs, against an antialiased triangle filter written out in float64."""

import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import cnndsl
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.photo import Photo
from cnndsl.ir.types import TensorType
from cnndsl.runtime.classes import class_names
from cnndsl.runtime.image import load_image
from cnndsl.runtime.photos import FOR_IMAGENET, IMAGENET_MEAN, IMAGENET_STD, photos_of

RAW = Photo()
OPEN = TensorType((3, OpenDim.symbol("H"), OpenDim.symbol("W")))
OPEN_GREY = TensorType((1, OpenDim.symbol("H"), OpenDim.symbol("W")))
ONE_LEVEL = 1 / 255


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (37, 52, 3), dtype=np.uint8)


def triangle_weights(before, after):
    """Rows of weights of a triangle filter as wide as one output pixel, at least one input."""
    step = before / after
    width = max(step, 1)
    centres = (np.arange(after) + 0.5) * step
    distance = np.abs(np.arange(before) + 0.5 - centres[:, None]) / width
    weights = np.clip(1 - distance, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def scaled(pixels, height, width):
    rows = triangle_weights(pixels.shape[0], height)
    columns = triangle_weights(pixels.shape[1], width)
    return np.einsum("ih,jw,hwc->cij", rows, columns, pixels / 255)


def save(tmp_path, image, name="image.png", **options):
    path = tmp_path / name
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("shape", "resize", "full", "corner"),
    [
        ((14, 14), None, (16, 22), (1, 4)),
        ((14, 14), 20, (20, 28), (3, 7)),
        ((56, 56), None, (64, 90), (4, 17)),
        ((14, 28), None, (23, 32), (4, 2)),
    ],
)
def test_scale_and_crop(tmp_path, noise, shape, resize, full, corner):
    photo = replace(FOR_IMAGENET, resize=resize)
    image = load_image(save(tmp_path, noise), TensorType((3, *shape)), photo)
    (height, width), (top, left) = shape, corner
    expected = scaled(noise, *full)[:, top : top + height, left : left + width]
    expected = (expected.transpose(1, 2, 0) - IMAGENET_MEAN) / IMAGENET_STD
    assert image.dtype == np.float32
    np.testing.assert_allclose(
        image, expected.transpose(2, 0, 1)[None], atol=ONE_LEVEL / min(IMAGENET_STD)
    )


def test_open_sizes_keep_the_pixels(tmp_path, noise):
    image = load_image(save(tmp_path, noise), OPEN, RAW)
    np.testing.assert_allclose(image[0], noise.transpose(2, 0, 1) / 255, rtol=1e-6)


def test_grey_is_luma_with_averaged_statistics(tmp_path, noise):
    image = load_image(save(tmp_path, noise), OPEN_GREY)
    luma = noise @ np.array([0.299, 0.587, 0.114]) / 255
    expected = (luma - np.mean(IMAGENET_MEAN)) / np.mean(IMAGENET_STD)
    assert image.shape == (1, 1, 37, 52)
    np.testing.assert_allclose(image[0, 0], expected, atol=ONE_LEVEL / np.mean(IMAGENET_STD))


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda upright: upright),
        (2, lambda upright: upright[:, ::-1]),
        (3, lambda upright: upright[::-1, ::-1]),
        (6, lambda upright: np.rot90(upright, 1)),
        (8, lambda upright: np.rot90(upright, -1)),
    ],
)
def test_exif_orientation(tmp_path, noise, orientation, stored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path, np.ascontiguousarray(stored(noise)), exif=exif)
    image = load_image(path, OPEN, RAW)
    np.testing.assert_allclose(image[0], noise.transpose(2, 0, 1) / 255, rtol=1e-6)


def test_transparency_is_put_on_white(tmp_path, noise):
    alpha = np.random.default_rng(1).integers(0, 256, (37, 52, 1), dtype=np.uint8)
    image = load_image(save(tmp_path, np.concatenate([noise, alpha], axis=2)), OPEN, RAW)
    expected = (noise * (alpha / 255) + 255 - alpha) / 255
    np.testing.assert_allclose(image[0], expected.transpose(2, 0, 1), atol=ONE_LEVEL)


def test_transparent_palette(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8)).convert("P")
    picture.putpalette([255, 0, 0, 0, 0, 255])
    image = load_image(save(tmp_path, picture, transparency=0), OPEN, RAW)
    white, blue = [1, 1, 1], [0, 0, 1]
    assert image[0].transpose(1, 2, 0).tolist() == [[white, blue], [blue, white]]


def test_cmyk(tmp_path, noise):
    inks = np.concatenate([noise // 2, noise[:, :, :1] // 2], axis=2)
    path = save(tmp_path, Image.frombytes("CMYK", (52, 37), inks.tobytes()), "image.tiff")
    expected = (1 - inks[..., :3] / 255) * (1 - inks[..., 3:] / 255)
    image = load_image(path, OPEN, RAW)
    np.testing.assert_allclose(image[0], expected.transpose(2, 0, 1), atol=2 * ONE_LEVEL)


def test_sixteen_bit_grey(tmp_path):
    ramp = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    image = load_image(save(tmp_path, ramp), OPEN_GREY, RAW)
    np.testing.assert_allclose(image[0, 0], ramp / 65535, atol=ONE_LEVEL)


def test_bilevel(tmp_path):
    board = np.indices((4, 4)).sum(axis=0) % 2 == 0
    image = load_image(save(tmp_path, board), OPEN_GREY, RAW)
    assert image[0, 0].tolist() == board.tolist()


def damaged_files(tmp_path, noise):
    whole = save(tmp_path, noise).read_bytes()
    huge = bytearray(whole)
    huge[16:24] = (60000).to_bytes(4, "big") * 2
    yield "empty", b""
    yield "text", b"not an image"
    yield "truncated", whole[: len(whole) // 2]
    yield "header only", whole[:20]
    yield "huge", bytes(huge)
    yield "postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"


def test_damaged_files(tmp_path, noise):
    for name, content in damaged_files(tmp_path, noise):
        path = tmp_path / f"{name}.png"
        path.write_bytes(content)
        with pytest.raises(CnnError) as caught:
            load_image(path, OPEN)
        assert caught.value.diagnostics[0].code == "E0606", name


@pytest.mark.parametrize("name", ["missing.png", ".", "pipe.png"])
def test_unreadable_paths(tmp_path, name):
    os.mkfifo(tmp_path / "pipe.png")  # which nobody writes to
    with pytest.raises(CnnError, match="E0606"):
        load_image(tmp_path / name, OPEN)


def test_flipped_bytes_give_pixels_or_an_error(tmp_path, noise):
    rng = np.random.default_rng(2)
    outcomes = set()
    for suffix in ("png", "jpg", "gif", "bmp", "tiff", "webp"):
        whole = np.frombuffer(save(tmp_path, noise, f"whole.{suffix}").read_bytes(), np.uint8)
        path = tmp_path / f"flipped.{suffix}"
        for _ in range(25):
            flipped = whole.copy()
            flipped[rng.integers(0, len(whole), 6)] = rng.integers(0, 256, 6)
            path.write_bytes(flipped.tobytes())
            try:
                outcomes.add(load_image(path, TensorType((3, 8, 8))).shape)
            except CnnError as error:
                outcomes.add(error.diagnostics[0].code)
    assert outcomes == {(1, 3, 8, 8), "E0606"}


@pytest.mark.parametrize(
    ("shape", "resize"),
    [((2, 8, 8), None), ((3, 8), None), ((3,), None), ((3, 8, 8, 8), None), ((3, 8, 8), 7)],
)
def test_unsuitable_inputs(tmp_path, noise, shape, resize):
    with pytest.raises(CnnError, match="E0224" if resize else "E0604"):
        load_image(save(tmp_path, noise), TensorType(shape), Photo(resize=resize))


def test_open_sizes_take_the_shorter_side_and_no_crop(tmp_path, noise):
    path = save(tmp_path, noise)
    image = load_image(path, OPEN, Photo(resize=64))
    np.testing.assert_allclose(image[0], scaled(noise, 64, 90), atol=ONE_LEVEL)
    with pytest.raises(CnnError, match="E0224"):
        load_image(path, OPEN, Photo(crop=0.5))


def test_a_hair_is_not_scaled_to_gigabytes(tmp_path):
    path = save(tmp_path, np.zeros((1, 20000), np.uint8))
    with pytest.raises(CnnError, match="E0606"):
        load_image(path, TensorType((3, 224, 224)))


def test_class_names():
    names = class_names(1000)
    assert len(names) == 1000
    assert [names[i] for i in (0, 281, 282, 285, 967)] == [
        "tench",
        "tabby",
        "tiger cat",
        "Egyptian cat",
        "espresso",
    ]
    assert class_names(10) is None


@pytest.mark.parametrize(
    ("first", "white"),
    [
        ("normalize(mean=[0.5, 0.4, 0.3], std=[0.5, 0.25, 0.2])", 1),
        ("scale(2, shift=-1)", 1),
        ("normalize(mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4])", 255),
        ("scale(0.5)", None),
        ("conv(3, 1)", None),
        ("add { scale(2, shift=-1) | identity }", None),
    ],
)
def test_networks_that_normalise_photos_themselves(first: str, white: float | None):
    net = cnndsl.parse(f"network n {{\n    input image [3, 8, 8]\n    {first}\n}}")
    assert net.photos == ({"image": Photo(range=float(white))} if white else {})
    for target in ("reference", "onnx"):
        assert photos_of(cnndsl.compile(net, target, seed=0).metadata) == net.photos
