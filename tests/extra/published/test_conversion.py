"""Weights of models of torchvision, timm and pytorchcv, found by names and structure alone.

`pytest -s` prints what each was converted by, and the largest difference from the model in float64,
of the largest logit, beside that of the model in float32.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from pytorchcv.model_provider import get_model
from safetensors.torch import save_file
from torch import nn

import cnndsl
from cnndsl.weights.conversion import UncertainError, convert
from cnndsl.weights.files import load_weights
from tests.extra.published.support import outputs, perturb

TEXTS = Path(__file__).parent / "texts"
OUTSIDE = str(TEXTS / "outside.cnn")
EDITS = 10
"""Lines of a draft that may have a question mark, less one."""
MODELS = {
    "torchvision": {
        "convnext_tiny": "convnext_tiny",
        "densenet161": f"{OUTSIDE}:densenet161",
        "efficientnet_b0": "efficientnet_b0",
        "mobilenet_v2": "mobilenet_v2",
        "resnet34": "resnet34",
        "resnext50_32x4d": "resnext50_32x4d",
        "shufflenet_v2_x0_5": "shufflenet_v2_x0_5",
        "squeezenet1_0": "squeezenet1_0",
        "vgg13_bn": "vgg13_bn",
        "wide_resnet50_2": f"{OUTSIDE}:wide_resnet50_2",
    },
    "timm": {
        "convnextv2_atto": f"{TEXTS}/convnextv2.cnn:convnextv2_atto",
        "cspresnet50": f"{TEXTS}/csp.cnn:cspresnet50",
        "dla34": f"{TEXTS}/dla.cnn:dla34",
        "darknet53": "darknet53_timm",
        "dpn68": f"{TEXTS}/dpn.cnn:dpn68",
        "ghostnet_100": "ghostnet",
        "legacy_xception": "xception_timm",
        "mobileone_s0": f"{TEXTS}/mobileone.cnn:mobileone_s0",
        "mobilevit_xxs": f"{TEXTS}/mobilevit.cnn:mobilevit_xxs",
        "poolformer_s12": f"{TEXTS}/poolformer.cnn:poolformer_s12",
        "regnety_004": "regnet_y_400mf",
        "repvgg_a0": "repvgg_a0",
        "res2net50_26w_4s": f"{TEXTS}/res2net.cnn:res2net50_26w_4s",
        "resnet26": f"{OUTSIDE}:resnet26",
        "resnet50d": f"{OUTSIDE}:resnet50d",
        "resnetv2_50": f"{OUTSIDE}:resnetv2_50",
        "seresnext50_32x4d": f"{OUTSIDE}:se_resnext50",
    },
    "pytorchcv": {
        "bn_vgg13b": "vgg13_bn",
        "densenet121": "densenet121",
        "mobilenet_w1": "mobilenet_v1",
        "preresnet50": f"{OUTSIDE}:preresnet50",
        "resnet50b": "resnet50",
        "seresnet50": f"{OUTSIDE}:se_resnet50",
        "shufflenet_g8_w1": f"{OUTSIDE}:shufflenet_g8",
    },
}
SIZES = {"vgg13_bn": 224, "bn_vgg13b": 224, "mobilevit_xxs": 128}
"""Others are 96: pytorchcv's pool at the end is 7x7, which a map of 3x3 does not fill."""


def module_of(source: str, name: str) -> nn.Module:
    """The model, with random weights."""
    torch.manual_seed(0)
    match source:
        case "torchvision":
            return getattr(torchvision.models, name)()
        case "timm":
            return timm.create_model(name)
    return get_model(name)


@pytest.mark.parametrize(
    ("source", "name"), [(source, name) for source, names in MODELS.items() for name in names]
)
def test_no_model_is_converted_wrongly(source: str, name: str, tmp_path: Path):
    """Alike from a state dict and from a file of sorted names; or refused with a draft."""
    model = module_of(source, name).double().eval()
    size = 224 if source == "pytorchcv" else SIZES.get(name, 96)
    image = torch.randn((1, 3, size, size), generator=torch.Generator().manual_seed(2)).double()
    perturb(model, image)
    state = {
        n: each.float() if each.is_floating_point() else each
        for n, each in model.state_dict().items()
    }
    torch.save(state, tmp_path / "model.pth")
    save_file(state, tmp_path / "model.safetensors")
    model.float().double()
    net = cnndsl.parse(MODELS[source][name], input_shapes={"image": (3, size, size)})
    found = []
    for file in ("model.pth", "model.safetensors"):
        try:
            found.append(convert(load_weights(tmp_path / file), net, "auto"))
        except UncertainError as error:
            edits = error.draft.count("?")
            print(f"{source} {name} {file} refused: {edits} doubtful lines", flush=True)
            assert edits < EDITS
    if not found:
        return
    first, second = found
    assert first.names == second.names
    assert all(np.array_equal(array, second.values[n]) for n, array in first.values.items())
    module = cnndsl.compile(net, "onnx", weights=first.values, logits=True)
    (logits,) = outputs(model, image).values()
    (rounded,) = outputs(model.float(), image.float()).values()
    largest = np.abs(logits).max()
    error = np.abs(module(image.float().numpy()).reshape(logits.shape) - logits).max() / largest
    rounding = np.abs(rounded - logits).max() / largest
    print(
        f"{source} {name} by {first.by}: {error:.1e}, PyTorch's float32 {rounding:.1e}", flush=True
    )
    assert error <= 1e-5 + 4 * rounding
