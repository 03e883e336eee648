"""Gradients as graphs against PyTorch's, in float64; and all operator cases in onnxruntime."""

import numpy as np
import pytest
import torch

import cnndsl
from cnndsl.backends.numpy import run_graph
from cnndsl.backends.onnx.backend import BACKEND as ONNX
from cnndsl.backends.torch.module import compiled
from cnndsl.backends.torch.options import TorchOptions
from cnndsl.runtime.backend import CompileOptions
from cnndsl.weights.bind import bind
from tests.autodiff.test_graphs import TEXT, arrays_for
from tests.autodiff.test_operators import DIFFERENTIABLE, Differentiated
from tests.onnx.support import assert_close

PYTORCH_ERRS = {"hard_sigmoid": 1e-7, "softplus": 1e-8}
"""PyTorch has 1/6 in float32 even for float64, and softplus is x beyond 20 / beta."""


def assert_near(found, wanted, scale, error=1e-10):
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= error * scale


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda case: case.id)
def test_an_operator_has_the_gradients_of_pytorch(case):
    it = Differentiated(case)
    network = compiled(it.graph, it.values, TorchOptions(dtype="float64")).network
    inputs = [torch.from_numpy(x).requires_grad_() for x in it.inputs.values()]
    y = network(*inputs)
    y.backward(torch.from_numpy(it.seed))
    wanted = {name: x.grad for name, x in zip(it.inputs, inputs, strict=True)}
    wanted |= {name: parameter.grad for name, parameter in network.named_parameters()}
    found = it.found()
    assert len(found) == len(it.arrays)
    for name in it.arrays:
        array, error = wanted[name].numpy(), PYTORCH_ERRS.get(case.operator.name, 1e-10)
        assert_near(found[f"{name}.gradient"], array, max(np.abs(array).max(), 1), error)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda case: case.id)
def test_onnxruntime_computes_the_gradient_of_the_reference(case):
    it = Differentiated(case)
    wanted = it.found()
    for name, array in ONNX.compile(it.back, it.values, CompileOptions()).run(it.given).items():
        assert_close(array, wanted[name])


SMALL = {
    "lenet5": {},
    "resnet20_cifar": {"image": (3, 16, 16)},
    "googlenet_aux": {"image": (3, 224, 224)},
    "densenet_bc_cifar_L40_k12": {"image": (3, 16, 16)},
    "shufflenet_v2_x0_5": {"image": (3, 64, 64)},
    "mobilenet_v2": {"image": (3, 64, 64)},
    "fractalnet": {"image": (3, 32, 32)},
    TEXT: {},
}


def losses(network, inputs, target, weights):
    """The weighted sum of the mean cross-entropies, of scores or probabilities."""
    outputs = network(*inputs)
    if not isinstance(outputs, dict):
        outputs = {"": outputs}
    terms = []
    for name, y in outputs.items():
        is_softmax = torch.allclose(y.sum(1), torch.ones_like(y.sum(1))) and (y >= 0).all()
        logs = y.log() if is_softmax else torch.log_softmax(y, 1)
        terms.append(weights.get(name, 1.0) * -(target * logs).sum(1).mean())
    return sum(terms)


@pytest.mark.parametrize("name", SMALL, ids=lambda name: name.split("(")[0].split("{")[0].strip())
def test_a_training_step_has_the_gradients_of_pytorch(name):
    """With all masks one, or as dropout's would be at inference."""
    net = cnndsl.parse(name, input_shapes=SMALL[name])
    back = cnndsl.gradients(net, "cross_entropy")
    values = bind(net.graph.parameters(), None, seed=1).values
    given = arrays_for(back.graph)
    given |= {n: np.ones_like(a) for n, a in given.items() if n.endswith(".mask")}
    network = cnndsl.compile(net, target="torch", weights=values, dtype="float64").network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for attribute, kept in (("rate", 0.0), ("survival", 1.0)):
            if hasattr(module, attribute):
                setattr(module, attribute, kept)
    inputs = [torch.from_numpy(given[n]) for n in net.graph.inputs]
    weights = {n: aux.weight for n, aux in net.graph.auxiliaries.items()}
    loss = losses(network, inputs, torch.from_numpy(given["target"]), weights)
    loss.backward()
    found = run_graph(back.graph, values, given)
    np.testing.assert_allclose(found["loss"], [loss.item()], rtol=1e-10)
    wanted = {n: p.grad.numpy() for n, p in network.named_parameters() if p.grad is not None}
    statistics = {n: b.numpy() for n, b in network.named_buffers() if n.endswith(("mean", "var"))}
    names = {"loss", *(f"{n}.gradient" for n in wanted), *(f"{n}.updated" for n in statistics)}
    assert names == set(found)
    for n, a in statistics.items():
        assert_near(found[f"{n}.updated"], a, max(np.abs(a).max(), 1))
    largest = max(np.abs(a).max() for a in wanted.values())
    for n, a in wanted.items():
        assert_near(found[f"{n}.gradient"], a, largest)
