"""What is imported when: a small tool starts fast because it imports little."""

import json
import subprocess
import sys

import pytest

HEAVY = ["PIL", "igraph", "lark", "networkx", "numpy", "onnx", "onnxruntime", "rich", "safetensors"]


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
