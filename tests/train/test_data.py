"""Data to train with, without PyTorch."""

import os

import numpy as np
import pytest
from PIL import Image

import cnndsl
from cnndsl.ir.types import TensorType
from cnndsl.runtime.photos import photos_in
from cnndsl.train.data import read_data


def test_a_folder_has_its_classes_by_name(tmp_path):
    for name, level in (("cat", 0), ("dog", 255)):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.new("L", (8, 8), level).save(tmp_path / name / f"{number}.png")
    data = read_data(str(tmp_path), TensorType((1, 8, 8)))
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.held_out)) == (8, 2)
    images, labels = data.train.batch(np.arange(8))
    assert images.shape == (8, 1, 8, 8)
    assert ((images.mean((1, 2, 3)) > 0) == (labels == 1)).all()


def test_hidden_files_and_folders_are_no_photos(tmp_path):
    places = ("cat/a.png", "dog/b/c.png", ".git/d.png", "cat/._a.png", "dog/.cache/e.png")
    for place in (*places, "cat/f.png", "dog/g.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / place)
    data = read_data(str(tmp_path), TensorType((1, 8, 8)))
    assert data.classes == ("cat", "dog")
    paths = [*data.train.items, *data.held_out.items]
    used = {str(path.relative_to(tmp_path)) for path in paths}
    assert used == {"cat/a.png", "dog/b/c.png", "cat/f.png", "dog/g.png"}


def test_links_that_lead_nowhere_are_photos_that_cannot_be_read(tmp_path):
    for place in ("cat/a.png", "dog/b.png"):
        (tmp_path / place).parent.mkdir()
        Image.new("L", (8, 8)).save(tmp_path / place)
    (tmp_path / "cat" / "none.png").symlink_to(tmp_path / "none")
    (tmp_path / "dog" / "self.png").symlink_to("self.png")
    (tmp_path / "dog" / "folder.png").mkdir()
    os.mkfifo(tmp_path / "dog" / "pipe.png")
    names = ["cat/a.png", "cat/none.png", "dog/b.png", "dog/self.png"]
    assert [str(path.relative_to(tmp_path)) for path in photos_in(tmp_path)] == names
    data = read_data(str(tmp_path), TensorType((1, 8, 8)))
    with pytest.raises(cnndsl.CnnError, match="E0606"):
        data.train.batch(np.arange(3))


def test_labels_that_are_no_classes_are_refused(tmp_path):
    for labels in (np.full(4, 10**9), np.full(4, 2**63, np.uint64)):
        np.savez(tmp_path / "a.npz", images=np.zeros((4, 3, 8, 8)), labels=labels)
        with pytest.raises(cnndsl.CnnError, match=rf"E0604.*label is {labels[0]},.* to 999,999"):
            read_data(str(tmp_path / "a.npz"), TensorType((3, 8, 8)))


def test_classes_that_are_held_out_alone_are_refused(tmp_path):
    for place in ("train/cat", "train/dog", "val/cat", "val/dog"):
        (tmp_path / place).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / place / "a.png")
    assert len(read_data(str(tmp_path), TensorType((1, 8, 8))).held_out) == 2
    (tmp_path / "val" / "zebra").mkdir()
    with pytest.raises(cnndsl.CnnError, match=r"E0760.*val has a class 'zebra'"):
        read_data(str(tmp_path), TensorType((1, 8, 8)))


def test_data_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(cnndsl.CnnError, match="no such folder"):
        read_data(str(tmp_path / "none"), TensorType((1, 8, 8)))
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(cnndsl.CnnError, match="it is no folder"):
        read_data(str(tmp_path / "a.png"), TensorType((1, 8, 8)))
    (tmp_path / "a.png").unlink()
    with pytest.raises(cnndsl.CnnError, match="no folders of images"):
        read_data(str(tmp_path), TensorType((1, 8, 8)))
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 3, 8, 8)), labels=np.zeros(4, int))
    with pytest.raises(cnndsl.CnnError, match="images are 4x3x8x8"):
        read_data(str(tmp_path / "a.npz"), TensorType((1, 8, 8)))
    assert len(read_data(str(tmp_path / "a.npz"), TensorType((3, 8, 8))).train) == 3
    for number in (np.nan, -np.inf, 1e300):
        np.savez(tmp_path / "a.npz", images=np.full((4, 3, 8, 8), number), labels=np.zeros(4, int))
        with pytest.raises(cnndsl.CnnError, match=r"E0604.*not finite in float32"):
            read_data(str(tmp_path / "a.npz"), TensorType((3, 8, 8)))
    np.savez(tmp_path / "b.npz", images=np.zeros((0, 3, 8, 8)), labels=np.zeros(0, int))
    np.savez(tmp_path / "c.npz", images=np.zeros((4, 3, 8, 8)))
    (tmp_path / "d.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    for name, said in (("b", "too few"), ("c", "does not hold"), ("d", "damaged|cannot read")):
        with pytest.raises(cnndsl.CnnError, match=said):
            read_data(str(tmp_path / f"{name}.npz"), TensorType((3, 8, 8)))
