"""A small network with operators of all kinds, calibrated once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import cnndsl
from cnndsl.quantise.calibration import Calibration
from cnndsl.runtime.module import Array

TEXT = """
network small {
    input image [3, 16, 16]
    conv1: conv(8, 3) -> bn -> relu -> maxpool(2)
    a: add { conv(8, 3) -> bn -> relu6 -> depthwise(3) -> bn -> relu -> conv(8, 1) | identity }
    concat { conv(8, 1) -> silu | avgpool(3, stride=1, pad=1) }
    bn -> relu
    mul { identity | global_avgpool -> fc(4) -> relu -> fc(16) -> sigmoid }
    shuffle(4) -> upsample(2) -> last: conv(6, 3, groups=2)
    global_avgpool -> fc(5)
}
"""


@dataclass(frozen=True)
class Small:
    network: cnndsl.Network
    samples: Array
    calibration: Calibration
    file: Path


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    network = cnndsl.parse(TEXT)
    samples = np.random.default_rng(0).normal(size=(6, 3, 16, 16)).astype(np.float32)
    found = cnndsl.calibrate(network, [{"image": samples}], seed=0)
    path = tmp_path_factory.mktemp("quantise") / "small.calibration"
    found.write(path)
    return Small(network, samples, found, path)
