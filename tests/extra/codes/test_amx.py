"""Layers by AMX, whose instructions are emulated: all kinds of sizes, in int8 and in bfloat16."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.backends.cpu.kernels.amx import family
from cnndsl.backends.cpu.module import CpuModule
from cnndsl.ir.attributes import build
from cnndsl.ir.operators import BY_NAME, Add, Dequantise, Identity, Quantised
from cnndsl.runtime.module import Array
from tests.cpu import bfloat16, codes
from tests.cpu.amx import count, emulate, emulated
from tests.cpu.support import compiled
from tests.extra.codes.test_codes import layers
from tests.operators.cases import Case


def conv(shape: tuple[int, ...], **given: object) -> Case:
    return Case("conv", build(BY_NAME["conv"], given), (shape,))


LAYERS = [
    conv((64, 14, 14), filters=64, kernel=1),
    conv((3, 15, 13), filters=24, kernel=7, stride=2, pad=3, bias=True),
    conv((21, 9, 11), filters=40, kernel=3, pad=1),
    conv((96, 7, 7), filters=48, kernel=1, stride=2),
    conv((64, 9, 8), filters=96, kernel=3, groups=2, stride=2, pad=1),
    conv((20, 12, 10), filters=16, kernel=3, dilation=2, pad=2),
    conv((17, 33), filters=33, kernel=3, pad=1),
    conv((130, 5, 5), filters=16, kernel=5),
    conv((48, 5, 6), filters=20, kernel=(1, 3), pad="same"),
    Case("fc", build(BY_NAME["fc"], {"units": 30}), ((10, 3, 4),)),
]


@contextmanager
def emulation(*, always: bool = True) -> Iterator[None]:
    """The emulator in place of AMX, for all layers that it could compute or for those that pay."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        emulate(patch, Path(folder))
        if always:
            patch.setattr(family, "pays", lambda *_: True)
        yield


def several(inputs: dict[str, Array], batch: int) -> dict[str, Array]:
    """At least so many different samples."""
    shares = np.linspace(1, 0.5, max(2, batch), dtype=np.float32)
    return {
        name: np.stack([share * array[i % len(array)] for i, share in enumerate(shares)])
        for name, array in inputs.items()
    }


def families(module: CpuModule) -> list[str]:
    return [layer.family for layer in module.layers if layer.op in ("conv", "fc", "conv+add")]


@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_codes(batch: int, cores: int) -> None:
    with emulation():
        graph, values, inputs = codes.together(LAYERS, batch)
        module = compiled(graph, values, batch=batch, target=emulated(cores))
        codes.assert_same_codes(module, graph, values, inputs)
        assert set(families(module)) == {"amx"}
        assert count(module, "held") == 0


@pytest.mark.parametrize("batch", [1, 2])
def test_bfloat16(batch: int) -> None:
    with emulation():
        graph, values, inputs = bfloat16.together(LAYERS, batch)
        module = compiled(graph, values, batch=batch, target=emulated())
        bfloat16.assert_near(module, graph, values, inputs)
        assert families(module).count("amx") >= len(LAYERS) - 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=layers(), seed=st.integers(0, 1000), batch=st.sampled_from([1, 2, 17]))
def test_random_layers_on_codes(case: Case, seed: int, batch: int) -> None:
    """Each once as it is, and once with a sum behind it."""
    with emulation():
        graph, values, inputs = codes.together([case, case], seed)
        layer, other = graph["y0"], graph["y1"]
        assert isinstance(layer.op, Quantised)
        assert isinstance(other.op, Quantised)
        copied = graph.add("other", Quantised(Identity(), other.op.result, 5, 240), [other])
        both = graph.add("sum", Quantised(Add(), layer.op.result, 2, 255), [copied, layer])
        graph.redefine(graph["f0"], Dequantise(), [both], {}, frozenset())
        module = compiled(graph, values, batch=batch, target=emulated())
        codes.assert_same_codes(module, graph, values, several(inputs, batch))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(case=layers(), seed=st.integers(0, 1000), batch=st.sampled_from([1, 2, 17]))
def test_random_layers_in_bfloat16(case: Case, seed: int, batch: int) -> None:
    with emulation():
        graph, values, inputs = bfloat16.together([case], seed)
        module = compiled(graph, values, batch=batch, target=emulated())
        bfloat16.assert_near(module, graph, values, several(inputs, batch))
