"""Networks of the zoo against torchvision's and timm's modules, in float64, with the same weights.

`pytest -s` prints the largest differences, of the largest number of an output.
"""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

import cnndsl
from cnndsl.weights.conversion import convert
from tests.extra.published.support import outputs, perturb

TOLERANCE = {"onnx": 1e-5, "cpu": 1e-4}
IMAGE = ((3, 224, 224), (3, 96, 96))
"""The size for ONNX, and a smaller one for code that is slow to make."""
SIZES = {
    "efficientnet_b1": ((3, 240, 240), (3, 96, 96)),
    "efficientnet_b4": ((3, 380, 380), (3, 96, 96)),
    "darknet53_timm": ((3, 256, 256), (3, 96, 96)),
    "r3d_18": ((3, 16, 112, 112), (3, 8, 48, 48)),
    "deeplabv3_resnet50": ((3, 520, 520), (3, 128, 128)),
    "retinanet": ((3, 512, 512), (3, 128, 128)),
}
TORCHVISION = (
    *("convnext_tiny", "efficientnet_b0", "efficientnet_b1", "efficientnet_b4"),
    *("mobilenet_v3_large", "mobilenet_v3_small", "regnet_x_400mf", "regnet_x_800mf"),
    *("regnet_y_400mf", "regnet_y_800mf", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"),
    *("shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "r3d_18", "deeplabv3_resnet50", "retinanet"),
)
TIMM = {
    "convnext_tiny": "convnext_tiny",
    "darknet53_timm": "darknet53",
    "efficientnet_b0": "efficientnet_b0",
    "ghostnet": "ghostnet_100",
    "hrnet_w18_small": "hrnet_w18_small",
    "regnet_x_800mf": "regnetx_008",
    "regnet_y_400mf": "regnety_004",
    "repvgg_a0": "repvgg_a0",
    "se_resnext50_32x4d": "legacy_seresnext50_32x4d",
}
NETWORKS = [*(("torchvision", name) for name in TORCHVISION), *(("timm", name) for name in TIMM)]


class Heads(nn.Module):
    """The scores and offsets of RetinaNet's anchors at each level, as the network gives them."""

    def __init__(self, detector: nn.Module):
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.head

    def forward(self, x):
        scores, boxes = self.head.classification_head, self.head.regression_head
        found = {}
        for i, level in enumerate(self.backbone(x).values(), 3):
            found[f"scores{i}"] = torch.sigmoid(scores.cls_logits(scores.conv(level)))
            found[f"boxes{i}"] = boxes.bbox_reg(boxes.conv(level))
        return found


def module_of(source: str, name: str) -> nn.Module:
    """The published module, with random weights."""
    models = torchvision.models
    torch.manual_seed(0)
    if source == "timm":
        return timm.create_model(TIMM[name])
    match name:
        case "r3d_18":
            return models.video.r3d_18()
        case "deeplabv3_resnet50":
            return models.segmentation.deeplabv3_resnet50(weights_backbone=None)
        case "retinanet":
            return Heads(models.detection.retinanet_resnet50_fpn(weights_backbone=None))
    return getattr(models, name)()


@pytest.mark.parametrize(("source", "name"), NETWORKS)
def test_a_network_computes_what_the_published_module_does(source: str, name: str):
    model = module_of(source, name).double().eval()
    sizes = SIZES.get(name, IMAGE)
    random = torch.Generator().manual_seed(2)
    images = [torch.randn((1, *size), generator=random).double() for size in sizes]
    perturb(model, images[0])
    model.float().double()  # Weights as they are stored.
    state = {n: each.float().numpy() for n, each in model.state_dict().items()}
    for target, image in zip(TOLERANCE, images, strict=True):
        (port,) = cnndsl.parse(name).inputs
        net = cnndsl.parse(name, input_shapes={port: tuple(image.shape[1:])})
        converted = convert(state, net, source)
        logits = name != "retinanet"
        module = cnndsl.compile(net, target, weights=converted.values, logits=logits)
        found = module(image.float().numpy())
        found = found if isinstance(found, dict) else {"": found}
        wanted = outputs(model, image)
        assert found.keys() == wanted.keys()
        errors = [
            np.abs(found[key].reshape(array.shape) - array).max() / np.abs(array).max()
            for key, array in wanted.items()
        ]
        print(f"{source} {name} {net.params:,} {target} {max(errors):.1e}", flush=True)
        assert max(errors) <= TOLERANCE[target]
