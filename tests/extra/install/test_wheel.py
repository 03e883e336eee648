"""The wheel in environments of its own: with numpy alone, and as pip installs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

import cnndsl

ROOT = Path(__file__).parents[3]
LARGEST = 60e6
"""Bytes of numpy and of what running a module reads of cnndsl, before Python has compiled it."""

RUN = """
import sys, cnndsl, numpy as np
from importlib.metadata import files
from pathlib import Path
arrays = np.load(sys.argv[2])
np.testing.assert_array_equal(cnndsl.load(sys.argv[1])(arrays["image"]), arrays["expected"])
read = {m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] == "cnndsl"}
print(sum(f.size or 0 for f in files("numpy")) + sum(Path(f).stat().st_size for f in read if f))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    copy = tmp_path_factory.mktemp("source")
    for name in ("cnndsl", "backends", "grammars", "networks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = "pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ."
    subprocess.run([sys.executable, "-m", *build.split()], cwd=copy, check=True)
    (found,) = (copy / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """A compiled SqueezeNet, and a file with an image and what it becomes."""
    folder = tmp_path_factory.mktemp("module")
    made = cnndsl.compile("squeezenet1_1", "cpu", seed=0, mcpu="x86-64-v3")
    made.save(folder / "net.cnnmod")
    image = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    np.savez(folder / "arrays.npz", image=image, expected=made(image))
    return folder / "net.cnnmod", folder / "arrays.npz"


def environment(folder, *packages):
    """The interpreter of a new environment with some packages, not compiled."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", *packages]
    subprocess.run(pip, check=True)
    return python


def test_running_a_module_takes_numpy_and_60_megabytes(wheel, module, tmp_path):
    python = environment(tmp_path / "env", "numpy")
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", wheel], check=True
    )
    ran = subprocess.run(
        [python, "-B", "-c", RUN, *module], check=True, cwd=tmp_path, capture_output=True
    )
    assert 10e6 < int(ran.stdout) < LARGEST


def test_without_extras_the_language_and_compiled_modules_work(wheel, module, tmp_path):
    python = environment(tmp_path / "env", wheel)
    command = python.with_name("cnndsl")
    subprocess.run([python, "-c", RUN, *module], check=True, cwd=tmp_path)
    for arguments in (
        ["check", "resnet50"],
        ["inspect", "resnet50", "--memory"],
        ["compile", "lenet5", "--seed", "0", "--target", "reference", "-o", "lenet5.cnnref"],
        ["inspect", module[0]],
    ):
        subprocess.run([command, *arguments], check=True, cwd=tmp_path)
    for target, extra in (("cpu", "tvm"), ("onnx", "onnx")):
        arguments = ["compile", "lenet5", "--seed", "0", "--target", target]
        done = subprocess.run([command, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2
        assert f"pip install 'cnndsl[{extra}]'" in done.stderr
    names = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True).stdout
    assert not {"onnx", "onnxruntime", "apache-tvm"} & {n.partition("==")[0] for n in names.split()}
