"""Networks of the zoo: against the reference, their weights, torch.compile and torch.export."""

import numpy as np
import pytest
import torch

import cnndsl
from cnndsl.backends.numpy import run_graph
from cnndsl.passes.pipeline import inference_graph
from cnndsl.weights.bind import bind

SMALL = {
    "lenet5": {},
    "resnet20_cifar": {},
    "shufflenet_v2_x0_5": {"image": (3, 64, 64)},
    "googlenet_aux": {},
    "resnet56_stochastic_depth": {},
    "mobilenet_v3_small": {"image": (3, 64, 64)},
    "densenet_bc_cifar_L40_k12": {},
    "fractalnet": {},
}


def network(name):
    return cnndsl.parse(name, input_shapes=SMALL.get(name, {}))


def random_inputs(net):
    random = np.random.default_rng(0)
    return {n: random.standard_normal((2, *t.shape)) for n, t in net.inputs.items()}


@pytest.mark.parametrize("name", SMALL)
def test_a_network_computes_what_the_reference_does(name):
    net = network(name)
    module = cnndsl.compile(net, target="torch", seed=1, dtype="float64")
    graph = inference_graph(net.graph)
    values = bind(net.graph.parameters(), None, seed=1).values
    module.set_weights(values)
    inputs = random_inputs(net)
    wanted = run_graph(graph, values, inputs, "float64")
    for output, found in module.run(inputs).items():
        np.testing.assert_allclose(found, wanted[output], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar"])
def test_weights_go_there_and_back(name, tmp_path):
    """What PyTorch changes loads into another target without a map."""
    net = network(name)
    module = cnndsl.compile(net, target="torch", seed=1)
    with torch.no_grad():
        for parameter in module.network.parameters():
            parameter.add_(0.01)
    state = {name: value.numpy() for name, value in module.network.state_dict().items()}
    inputs = {name: x.astype(np.float32) for name, x in random_inputs(net).items()}
    wanted = module.run(inputs)
    found = cnndsl.compile(net, target="reference", weights=state).run(inputs)
    for output in wanted:
        np.testing.assert_allclose(found[output], wanted[output], rtol=1e-4, atol=1e-5)
    cnndsl.compile(net, target="torch", weights=state).save(tmp_path / "model.py")
    loaded = cnndsl.load(tmp_path / "model.py").run(inputs)
    for output in wanted:
        np.testing.assert_array_equal(loaded[output], wanted[output])


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar"])
def test_pytorch_exports_and_traces_modules(name):
    net = network(name)
    made = cnndsl.compile(net, target="torch", seed=1).network
    x = [torch.from_numpy(a).float() for a in random_inputs(net).values()]
    exported = torch.export.export(made, tuple(x)).module()
    torch.testing.assert_close(exported(*x), made(*x))
    traced = torch.compile(made, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(*x), made(*x))
