"""What is imported when: a small tool starts fast because it imports little."""

import json
import subprocess
import sys

import numpy as np
import pytest

import cnndsl

HEAVY = [
    "PIL",
    "igraph",
    "lark",
    "ml_dtypes",
    "networkx",
    "numpy",
    "onnx",
    "onnxruntime",
    "rich",
    "safetensors",
    "tvm",
]


def imported_by(code):
    """Which of HEAVY a fresh interpreter holds after running the code."""
    report = f"import json, sys; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_probe_sees_imports():
    assert imported_by("import networkx") == ["networkx"]


def test_importing_cnndsl_imports_nothing_heavy():
    assert imported_by("import cnndsl; dir(cnndsl)") == []


@pytest.mark.parametrize(
    "code", ["import cnndsl; cnndsl.check('lenet5')", "import cnndsl.cli.main"]
)
def test_the_front_end_needs_no_runtime(code):
    assert not {"PIL", "igraph", "onnx", "onnxruntime", "rich"} & set(imported_by(code))


def test_a_module_that_runs_needs_numpy_alone(tmp_path):
    file, image = tmp_path / "n.cnnmod", tmp_path / "x.npy"
    text = "network n { input x [3, 8, 8]\n global_avgpool -> fc(5) }"
    cnndsl.compile(text, "cpu", seed=0).save(file)
    np.save(image, np.ones((1, 3, 8, 8), np.float32))
    load = f"import cnndsl, numpy as np; print(cnndsl.load({str(file)!r})(np.load({str(image)!r})))"
    assert imported_by(load) == ["numpy"]
    command = ["run", str(file), "--input", str(image)]
    run = f"from cnndsl.cli.main import commands; commands({command}, standalone_mode=False)"
    assert imported_by(run) == ["numpy"]


WITHOUT_EXTRAS = """
import sys
for name in ["h5py", "onnx", "onnxruntime", "tvm", "tvm_ffi"]:
    sys.modules[name] = None
from click.testing import CliRunner
from cnndsl.cli.main import commands

def call(*arguments):
    return CliRunner().invoke(commands, arguments, standalone_mode=False)

for arguments in [
    ["check", "lenet5"], ["inspect", "lenet5"], ["inspect", "lenet5", "--passes"],
    ["inspect", "lenet5", "--memory"], ["draw", "lenet5", "-o", "l.svg"], ["list", "ops"],
    ["list", "targets"], ["explain", "conv"], ["--help"], ["compile", "--help"],
    ["compile", "lenet5", "--seed", "0", "--target", "reference", "-o", "l.cnnref"],
    ["run", "l.cnnref", "--input", "x.npy"], ["fmt", "--check", "lenet5.cnn"],
]:
    done = call(*arguments)
    assert done.return_value in (0, None), (arguments, done.output)
    assert not done.exception, (arguments, done.exception)
for arguments, extra in [
    (["compile", "lenet5", "--seed", "0"], "onnx"),
    (["compile", "lenet5", "--seed", "0", "--target", "cpu"], "tvm"),
    (["run", "lenet5", "--seed", "0", "--input", "x.npy"], "onnx"),
    (["run", "l.onnx", "--input", "x.npy"], "onnx"),
    (["inspect", "l.onnx"], "onnx"),
    (["import", "l.onnx"], "onnx"),
    (["bench", "lenet5", "--target", "cpu"], "tvm"),
    (["bench", "lenet5"], "onnx"),
    (["compare", "lenet5", "--targets", "reference,onnx"], "onnx"),
    (["tune", "lenet5"], "tvm"),
]:
    done = call(*arguments)
    assert done.return_value == 2, (arguments, done.output, done.exception)
    assert f"pip install 'cnndsl[{extra}]'" in done.output, (arguments, done.output)
"""


def test_without_extras_a_hint_names_the_one_that_is_needed(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((1, 1, 32, 32), np.float32))
    (tmp_path / "l.onnx").write_bytes(b"a model")
    (tmp_path / "lenet5.cnn").write_text("network n {\n    input x [3, 8, 8]\n    relu\n}\n")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
