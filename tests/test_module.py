"""What a module takes, and the size at which a photo enters a network whose sizes are open."""

import numpy as np
import pytest

from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Module, Port

OPEN = TensorType((3, OpenDim.symbol("H"), OpenDim.symbol("W")))


class Empty(Module):
    weight_bytes = 0

    def run(self, arrays):
        return {}

    def save(self, path):
        pass


@pytest.mark.parametrize(
    ("declared", "own", "expected"),
    [
        ("image=3x224x128", OPEN, (3, 224, 128)),
        ("left=3x8x8,image=3x224x128,image2=3x9x9", OPEN, (3, 224, 128)),
        ("image=3x224x128", TensorType((3, 224, OpenDim.symbol("W"))), (3, 224, 128)),
        ("image=3x224x128", TensorType((3, 64, 64)), (3, 64, 64)),
        ("image=3xHxW", OPEN, OPEN.shape),
        ("image=1x224x128", OPEN, OPEN.shape),
        ("image=3x224", OPEN, OPEN.shape),
        ("image=3x0x128", OPEN, OPEN.shape),
        ("image=3x99999999999x8", OPEN, OPEN.shape),
        ("other=3x224x128", OPEN, OPEN.shape),
        ("=,x", OPEN, OPEN.shape),
        ("", OPEN, OPEN.shape),
    ],
)
def test_declared_type(declared, own, expected):
    port = Port("image", own)
    module = Empty((port,), (), {"input_shapes": declared})
    assert module.declared_type(port).shape == expected


def test_a_model_of_another_producer_declares_nothing():
    port = Port("image", OPEN)
    assert Empty((port,), (), {}).declared_type(port) == OPEN


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            {"left": (1, 8, 8), "right": (2, 1, 8, 8)},
            "input 'left' is a single sample, 1x8x8, but 'right' a batch, 2x1x8x8",
        ),
        (
            {"left": (3, 1, 8, 8), "right": (2, 1, 8, 8)},
            "the batches differ: 3 in input 'left', but 2 in 'right'",
        ),
        (
            {"left": (1, 8, 8), "right": (2, 3, 8, 8)},
            "input 'right' is batchx1x8x8, not 2x3x8x8",
        ),
        ({"left": (8, 8), "right": (2, 1, 8, 8)}, "input 'left' is batchx1x8x8, not 8x8"),
        ({"left": (1, 8, 8)}, "no value for input right"),
    ],
)
def test_wrong_inputs(shapes, message):
    module = Empty(tuple(Port(name, TensorType((1, 8, 8))) for name in ("left", "right")), (), {})
    with pytest.raises(CnnError) as caught:
        module.batched(**{name: np.zeros(shape) for name, shape in shapes.items()})
    assert caught.value.diagnostics[0].message == message


def test_the_inputs_are_listed_if_one_is_missing():
    module = Empty((Port("left", TensorType((1, 8, 8))), Port("right", OPEN)), (), {})
    with pytest.raises(CnnError) as caught:
        module.batched()
    assert caught.value.diagnostics[0].hint == "inputs: left 1x8x8, right 3xHxW"
