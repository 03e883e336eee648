"""Weights from torchvision to PyTorch, and what is trained there to other targets without a map."""

import numpy as np
import pytest
import torch
from torch import nn

import cnndsl
from cnndsl.cli.main import main

NETWORKS = {
    "lenet5": {},
    "alexnet_torchvision": {"image": (3, 95, 95)},
    "vgg11_bn": {"image": (3, 64, 64)},
    "googlenet_aux": {"image": (3, 128, 128)},
    "inception_v3_aux": {},
    "resnet18": {"image": (3, 64, 64)},
    "resnet50": {"image": (3, 64, 64)},
    "resnet20_cifar": {},
    "resnet56_stochastic_depth": {},
    "preact_resnet110_cifar": {},
    "resnext50_32x4d": {"image": (3, 64, 64)},
    "se_resnet50": {"image": (3, 64, 64)},
    "densenet_bc_cifar_L40_k12": {},
    "densenet121": {"image": (3, 64, 64)},
    "squeezenet1_1": {"image": (3, 64, 64)},
    "mobilenet_v2": {"image": (3, 64, 64)},
    "mobilenet_v3_small": {"image": (3, 64, 64)},
    "efficientnet_b0": {"image": (3, 64, 64)},
    "shufflenet_v2_x0_5": {"image": (3, 64, 64)},
    "regnet_y_400mf": {"image": (3, 64, 64)},
    "repvgg_a0": {"image": (3, 64, 64)},
    "convnext_tiny": {"image": (3, 64, 64)},
}


def inputs_of(net, batch):
    random = np.random.default_rng(0)
    return {
        name: random.standard_normal((batch, *kind.shape), np.float32)
        for name, kind in net.inputs.items()
    }


def train(network, inputs):
    """A few steps, which change every parameter and the statistics of every bn."""
    network.train()
    steps = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
    torch.manual_seed(0)
    for _ in range(2):
        found = network(*(torch.from_numpy(x) for x in inputs.values()))
        outputs = found.values() if isinstance(found, dict) else [found]
        loss = sum((value - value.detach().mean(0) - 1).square().mean() for value in outputs)
        steps.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        steps.step()
    network.eval()


# Weights of heads that act in training alone are left over.
@pytest.mark.filterwarnings("ignore::cnndsl.diagnostics.CnnWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_what_pytorch_trained_loads_everywhere(name, tmp_path, record_property):
    net = cnndsl.parse(name, input_shapes=NETWORKS[name])
    module = cnndsl.compile(net, target="torch", seed=0, logits=True)
    before = {n: value.clone() for n, value in module.network.state_dict().items()}
    train(module.network, inputs_of(net, 4))
    state = module.network.state_dict()
    assert sum(not torch.equal(state[n], value) for n, value in before.items()) > 0.9 * len(before)
    torch.save(state, tmp_path / "trained.pth")
    inputs = inputs_of(net, 2)
    wanted = module.run(inputs)
    for target in ("cpu", "onnx"):
        made = cnndsl.compile(net, target=target, weights=tmp_path / "trained.pth", logits=True)
        found = made.run(inputs)
        assert found.keys() == wanted.keys()
        for output, expected in wanted.items():
            error = np.abs(found[output] - expected).max() / np.abs(expected).max()
            record_property(f"{target} {output}", float(error))
            assert error < 1e-4, (target, output)


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18", 224), ("mobilenet_v2", 96), ("densenet121", 96), ("squeezenet1_1", 96)],
)
def test_torchvisions_weights_give_torchvisions_logits(name, size, tmp_path, record_property):
    from torchvision import models

    torch.manual_seed(0)
    source = getattr(models, name)(weights=None).eval()
    for layer in source.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, 0, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    torch.save(source.state_dict(), tmp_path / "source.pth")
    convert = ["weights", "convert", tmp_path / "source.pth", "--from", "torchvision"]
    weights = tmp_path / "converted.safetensors"
    assert main([*map(str, convert), "--network", name, "-o", str(weights)]) == 0
    net = cnndsl.parse(name, input_shapes={"image": (3, size, size)})
    module = cnndsl.compile(net, target="torch", weights=weights, logits=True)
    x = np.random.default_rng(1).standard_normal((2, 3, size, size), np.float32)
    with torch.no_grad():
        wanted = source(torch.from_numpy(x)).numpy()
    (found,) = module.run({"image": x}).values()
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    record_property(name, float(error))
    assert error < 1e-5
