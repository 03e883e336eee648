"""The size at which a photo enters a network whose sizes are open."""

import pytest

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
