"""Processes that torchrun starts train as one process does over the same batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

TEXT = """
network small(classes=3) {
    input image [2, 9, 9]
    conv(6, 3) -> relu -> maxpool(2) -> conv(8, 3) -> relu
    auxiliary side(weight=0.3) = global_avgpool -> fc(classes)
    conv(8, 3) -> relu -> global_avgpool -> fc(classes) -> softmax
}
"""
ROOT = Path(__file__).parents[3]


@pytest.fixture
def data(tmp_path):
    random = np.random.default_rng(0)
    labels = random.integers(3, size=40)
    images = random.normal(size=(40, 2, 9, 9)) + labels[:, None, None, None]
    np.savez(tmp_path / "data.npz", images=images.astype(np.float32), labels=labels)
    (tmp_path / "small.cnn").write_text(TEXT)
    return tmp_path


def trained(folder, processes, batch):
    """The log and the weights; the batch is that of all processes together."""
    output = folder / f"by{processes}.safetensors"
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]
    start = [*start, "--no-python", sys.executable] if processes > 1 else []
    command = [
        *("-m", "cnndsl.train", "small.cnn", "--data", "data.npz", "-o", output, "--threads", 1),
        *("--optimiser", "sgd", "--rate", 0.05, "--batch", batch, "--epochs", 3, "--device", "cpu"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, (*start, *command))],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = output.with_suffix(".jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], load_file(output)


@pytest.mark.parametrize("batch", [8, 7])
def test_two_processes_are_one(data, batch):
    """Of 7 samples one process has 4, the other 3; the log is written once."""
    (alone, weights), (both, shared) = (trained(data, n, batch) for n in (1, 2))
    assert len(both) == len(alone) == 3
    for name in ("loss", "held_out_loss", "accuracy"):
        np.testing.assert_allclose(
            [epoch[name] for epoch in both], [epoch[name] for epoch in alone], rtol=1e-5
        )
    assert weights.keys() == shared.keys()
    for name, array in weights.items():
        np.testing.assert_allclose(shared[name], array, rtol=1e-4, atol=1e-6, err_msg=name)


def test_shares_weigh_as_their_samples():
    from cnndsl.train.processes import Processes

    class Two(Processes):
        def total(self, *numbers):
            return [7.0]

    assert [Two(2, 0, None).share(4), Two(2, 1, None).share(3)] == [8 / 7, 6 / 7]
    assert Processes(1, 0, None).share(5) == 1
