"""Where labelled images come from, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnndsl
from cnndsl.evaluation.data import Data, read_data
from cnndsl.ir.types import TensorType

KIND = TensorType((3, 8, 8))


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(path, format="png")
    return folder


def read(folder: Path, labels: str | None = None, classes: str | None = None, n: int = 3) -> Data:
    files = [None, None]
    for place, text in enumerate((labels, classes)):
        if text is not None:
            files[place] = folder.parent / f"{place}.txt"  # type: ignore[call-overload]
            files[place].write_text(text)  # type: ignore[attr-defined]
    return read_data(folder, *files, n, KIND)


def known(data: Data, folder: Path) -> dict[str, int]:
    return {
        Path(data.name(i)).relative_to(folder).as_posix(): int(data.labels[i])
        for i in range(len(data))
    }


def test_folders_by_class_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "d", "b/1.png", "a/x/2.png", "c/3.png", ".hidden/4.png")
    data = read(folder)
    assert known(data, folder) == {"a/x/2.png": 0, "b/1.png": 1, "c/3.png": 2}
    assert (data.names, data.remarks) == (("a", "b", "c"), ())


def test_the_part_that_is_held_out(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "d", "train/a/1.png", "val/a/2.png", "val/b/3.png")
    assert known(read(folder, n=2), folder) == {"val/a/2.png": 0, "val/b/3.png": 1}


def test_names_of_classes_order_the_folders(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "d", "cat/1.png", "dog/2.png")
    data = read(folder, classes="dog\nbird\ncat\n")
    assert known(data, folder) == {"cat/1.png": 2, "dog/2.png": 0}
    assert data.names == ("dog", "bird", "cat")


def test_numbers_name_classes_of_which_some_are_missing(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "d", "2/1.png", "10/2.png")
    assert known(read(folder, n=11), folder) == {"2/1.png": 2, "10/2.png": 10}
    data = read(folder, n=2)
    assert known(data, folder) == {"10/2.png": 0, "2/1.png": 1}
    assert "order of their names: 10, 2" in data.remarks[0]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ("a b.png 2\nx/c.png 0\n", None),
        ("a b.png, 2\n\nx/c.png,0", None),
        ('"a b.png";"dog"\n"x/c.png";cat\n', "cat\nbird\ndog\n"),
        ("x/c.png\t0\na b.png\t2\n", None),
        ("a b.png,sea lion\nx/c.png,cat\n", "cat\ndog\nsea lion\n"),
        ("2\n0\n", None),
        ("dog\ncat\n", "cat\nbird\ndog\n"),
    ],
)
def test_a_file_of_labels(tmp_path: Path, labels: str, classes: str | None) -> None:
    folder = pictures(tmp_path / "d", "a b.png", "x/c.png")
    assert known(read(folder, labels, classes), folder) == {"a b.png": 2, "x/c.png": 0}


def test_arrays(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((4, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=images, labels=np.array([0, 1, 2, 2]))
    data = read_data(tmp_path / "a.npz", None, None, 3, KIND)
    assert isinstance(data.items, np.ndarray)
    np.testing.assert_array_equal(data.items, images)
    assert data.labels.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("names", "labels", "classes", "said"),
    [
        (("a.png",), None, None, "no folders of images"),
        (("a/a.png", "b/b.png"), None, None, "2 folders, the network tells 3"),
        (("a/a.png", "b/b.png"), None, "a\nc\n", "no class is called 'b'"),
        (("7/a.png",), None, None, "has class 7, the network tells 3 apart"),
        (("a.png", "b.png"), "1\n", None, "1 classes, .* has 2 images"),
        (("a.png",), "a.png dog\n", None, "no class in 'a.png dog'"),
        (("a.png",), "a.png -1\n", None, "no class in 'a.png -1'"),
        (("a.png",), "a.png 3\n", None, "has class 3"),
        (("a.png",), "a.png 1\n./a.png 2\n", None, "several lines for .*a.png"),
        (("a.png",), "a.png 1\n", "a\nb\nc\nd\n", "4 names"),
        (("a.png",), "a.png 1\n", "a\na\n", "2 names"),
        ((), "", None, "no images"),
        (("a/a.png", "b/b.png", "c/c.txt"), None, None, "d/c has no images"),
    ],
)
def test_what_has_no_class(
    tmp_path: Path, names: tuple[str, ...], labels: str | None, classes: str | None, said: str
) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    pictures(folder, *names)
    with pytest.raises(cnndsl.CnnError, match=said) as caught:
        read(folder, labels, classes)
    assert caught.value.diagnostics[0].code == "E0770"


def test_wrong_arrays(tmp_path: Path) -> None:
    for wrong in (
        {"images": np.zeros((2, 3, 8, 8)), "labels": np.zeros(2)},
        {"images": np.zeros((2, 3, 8, 8)), "labels": np.zeros(3, int)},
        {"images": np.zeros((2, 8, 8)), "labels": np.zeros(2, int)},
        {"images": np.zeros((2, 3, 8, 8))},
        {"images": np.zeros((2, 3, 8, 9)), "labels": np.zeros(2, int)},
        {"images": np.zeros((2, 3, 8, 8), complex), "labels": np.zeros(2, int)},
        {"images": np.full((2, 3, 8, 8), "1"), "labels": np.zeros(2, int)},
        {"images": np.full((2, 3, 8, 8), np.nan), "labels": np.zeros(2, int)},
        {"images": np.zeros((2, 3, 8, 8)), "labels": np.full(2, -1)},
        {"images": np.zeros((2, 3, 8, 8)), "labels": np.full(2, 2**63, np.uint64)},
    ):
        np.savez(tmp_path / "a.npz", **wrong)
        with pytest.raises(cnndsl.CnnError, match=r"E060[348]"):
            read_data(tmp_path / "a.npz", None, None, 3, KIND)
    with pytest.raises(cnndsl.CnnError, match="E0601"):
        read_data(tmp_path / "none", None, None, 3, KIND)
