"""A wheel, unpacked far from the sources, is whole: code, grammars, networks, backends."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"cnndsl": "cnndsl"} | {
    name: f"cnndsl/{name}" for name in ("backends", "grammars", "networks")
}
SHIPPED = {
    ".py", ".typed", ".lark", ".cnn", ".json", ".map", ".vim", ".cuh", ".c", ".h", ".in",
    ".html", ".css", ".js", ".md",
}  # fmt: skip


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The folder of an unpacked wheel, built from a copy that keeps the tree clean."""
    copy = tmp_path_factory.mktemp("source")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = "pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir dist ."
    subprocess.run(
        [sys.executable, "-m", *build.split()], cwd=copy, check=True, capture_output=True
    )
    (wheel,) = (copy / "dist").glob("*.whl")
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_no_file_is_left_out(unpacked):
    sources = {
        f"{installed}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, installed in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SHIPPED
    }
    packed = {
        path.relative_to(unpacked).as_posix()
        for path in (unpacked / "cnndsl").rglob("*")
        if path.is_file()
    }
    assert "cnndsl/grammars/cnn.lark" in sources
    assert packed == sources


def test_the_installed_package_works(unpacked):
    code = f"""
import sys
sys.path.insert(0, {str(unpacked)!r})
import cnndsl
from cnndsl.backends import numpy, onnx
assert cnndsl.__file__.startswith({str(unpacked)!r})
assert numpy.__file__.startswith({str(unpacked)!r})
assert len(cnndsl.zoo()) > 20
print(cnndsl.parse("resnet50").graph.name)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=unpacked, capture_output=True, text=True, check=True
    )
    assert done.stdout == "resnet50\n"


def test_a_clone_beside_a_script_does_not_hide_the_editable_install(tmp_path):
    """A folder `cnndsl` in the script's folder is no package, and must not pass for one."""
    build = "from setuptools.build_meta import build_editable as b; import sys; b(sys.argv[1])"
    clone = tmp_path / "cnndsl"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=clone, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    script = tmp_path / "script.py"
    script.write_text(
        "import site, sys\n"
        "hooks = [f for f in sys.meta_path if 'Editable' in getattr(f, '__name__', '')]\n"
        "sys.meta_path = [f for f in sys.meta_path if f not in hooks]\n"
        "sys.path = [p for p in sys.path if p != sys.argv[2]]\n"
        "site.addsitedir(sys.argv[1])\n"
        "import cnndsl\n"
        "from cnndsl.backends import numpy, onnx\n"
        "print(cnndsl.parse('resnet50').graph.name, cnndsl.__file__, numpy.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "site"), str(ROOT)],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    name, *files = done.stdout.split()
    assert name == "resnet50"
    assert all(file.startswith(str(clone)) for file in files)
