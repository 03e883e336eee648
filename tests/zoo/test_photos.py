"""How photos become the inputs of the zoo, as the sources of its weights publish it."""

from __future__ import annotations

import numpy as np
import pytest

import cnndsl
from cnndsl.ir.photo import Photo

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,), (0.5,))

PUBLISHED = {
    # torchvision 0.20, `Weights.transforms()` of IMAGENET1K_V1: pixels, interpolation, numbers
    "resnet50": (256, "bilinear", *IMAGENET),
    "vgg16_bn": (256, "bilinear", *IMAGENET),
    "mobilenet_v2": (256, "bilinear", *IMAGENET),
    "efficientnet_b0": (256, "bicubic", *IMAGENET),
    "convnext_tiny": (236, "bilinear", *IMAGENET),
    "convnext_small": (230, "bilinear", *IMAGENET),
    "convnext_base": (232, "bilinear", *IMAGENET),
    # the same, with `transform_input` of its pretrained models
    "googlenet_torchvision": (256, "bilinear", *HALF),
    "inception_v3": (342, "bilinear", *HALF),
    # timm 1.0, `default_cfg`: int(input_size / crop_pct)
    "inception_v4": (int(299 / 0.875), "bicubic", *HALF),
    "inception_resnet_v2": (int(299 / 0.8975), "bicubic", *HALF),
    "xception_timm": (int(299 / 0.8975), "bicubic", *HALF),
    "se_resnet101": (256, "bilinear", *IMAGENET),
    # EfficientNet's code: CROP_PADDING = 32
    "efficientnet_b4": (412, "bicubic", *IMAGENET),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_photos_become_inputs_as_published(name: str) -> None:
    net = cnndsl.parse(name)
    (photo,) = net.photos.values()
    pixels, interpolation, mean, std = PUBLISHED[name]
    height = net.inputs["image"].sizes[1]
    assert photo.cover(height) == pixels
    assert photo == Photo(None, photo.crop, interpolation, mean, std)


def test_a_transformed_normalisation_is_that_of_one_half() -> None:
    """torchvision's `transform_input` takes x normalised as for ImageNet."""
    pixels = np.random.default_rng(0).random((3, 1000))
    mean, std = (np.array(numbers)[:, None] for numbers in IMAGENET)
    factor, shift = np.array([[0.458], [0.448], [0.450]]), np.array([[-0.030], [-0.088], [-0.188]])
    np.testing.assert_allclose(
        (pixels - mean) / std * factor + shift, (pixels - 0.5) / 0.5, atol=1e-3
    )
