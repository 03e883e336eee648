"""Numbers of files beside a text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnndsl

TEXT = """import halved from "parts/half.cnn"
network n {
    input x [2, 4, 4]
    add { halved | constant(load("table.npy")) }
    conv(3, 3, weight=load("kernel.npy"), bias=false) -> scale(load("factor.npy"))
}
"""
HALF = 'block halved { scale(load("half.npy")) }\n'


@pytest.fixture
def text(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "half.cnn").write_text(HALF)
    np.save(tmp_path / "parts" / "half.npy", np.array(0.5))
    np.save(tmp_path / "table.npy", np.asfortranarray(rng.normal(size=(2, 4, 4))))
    np.save(tmp_path / "kernel.npy", rng.integers(-4, 4, size=(3, 3)).astype(np.int8))
    np.save(tmp_path / "factor.npy", rng.normal(size=3).astype(np.float16))
    (tmp_path / "net.cnn").write_text(TEXT)
    return tmp_path / "net.cnn"


def test_they_lie_beside_the_text_that_names_them(text: Path):
    x = np.random.default_rng(1).normal(size=(1, 2, 4, 4))
    found = cnndsl.compile(text, "reference", dtype="float64")(x)
    folder = text.parent
    y = np.pad((0.5 * x + np.load(folder / "table.npy")).sum(1), ((0, 0), (1, 1), (1, 1)))
    kernel = np.load(folder / "kernel.npy").astype(float)
    windows = np.lib.stride_tricks.sliding_window_view(y, (3, 3), (1, 2))
    wanted = np.einsum("bijkl,kl->bij", windows, kernel)[:, None]
    factor = np.load(folder / "factor.npy").astype(float)
    np.testing.assert_allclose(found, wanted * factor[:, None, None], rtol=1e-12)


def test_the_network_is_another_one_with_other_numbers(text: Path):
    before = cnndsl.parse(text).source_hash
    assert cnndsl.parse(text).source_hash == before
    np.save(text.parent / "parts" / "half.npy", np.array(0.25))
    assert cnndsl.parse(text).source_hash != before


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, "E0601", "no such file"),
        (b"", "E0608", "magic"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "E0608", "header"),
        (np.array([[1, None]]), "E0608", "holds object"),
        (np.array(["a"]), "E0608", "holds <U1"),
        (np.zeros((0, 3)), "E0608", "holds 0 numbers"),
        (np.zeros(2**16 + 1), "E0608", "65,537 numbers, of 65,536 at most"),
        (np.array([1, np.inf]), "E0608", "finite"),
        (np.zeros((2, 1, 1, 1, 1)), "E0309", "values takes"),
        (np.zeros(3), "E0301", "operands of one shape"),
    ],
)
def test_other_files_are_refused(text: Path, content, code: str, message: str):
    path = text.parent / "table.npy"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(cnndsl.CnnError, match=f"(?s){code}.*{message}"):
        cnndsl.parse(text)


def test_a_cut_file_is_refused(text: Path):
    path = text.parent / "table.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(cnndsl.CnnError, match="E0608"):
        cnndsl.parse(text)


def test_only_a_name_is_taken(text: Path):
    for wrong in ("3", "[1]", '"a.npy", "b.npy"'):
        text.write_text(f"network n {{\n input x [2, 4, 4]\n scale(load({wrong}))\n}}")
        with pytest.raises(cnndsl.CnnError, match="E0208"):
            cnndsl.parse(text)
