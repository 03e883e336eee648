"""Hints by spelling: only what is close, and never a longer word that holds the name."""

import pytest

from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.ir.operators import BY_NAME
from cnndsl.language.functions import FUNCTIONS

NAMES = [*BY_NAME, *FUNCTIONS]


@pytest.mark.parametrize(
    "name",
    ["depth_to_space", "spectral_norm", "attention", "einsum", "transpose", "mean"],
)
def test_what_means_something_else_is_not_proposed(name):
    assert did_you_mean(name, NAMES) is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cnov", "conv"),
        ("rleu", "relu"),
        ("depthwize", "depthwise"),
        ("globl_avgpool", "global_avgpool"),
        ("enumarate", "enumerate"),
        ("averge", "average"),
        ("upscale", "upsample"),
    ],
)
def test_what_is_mistyped_is_found(name, meant):
    assert did_you_mean(name, NAMES) == f"did you mean {meant!r}?"


def test_equally_near_ones_are_all_named():
    assert did_you_mean("conv4", ["conv2", "conv1", "pool"]) == "did you mean 'conv1' or 'conv2'?"
