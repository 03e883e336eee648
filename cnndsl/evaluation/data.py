"""Labelled images to evaluate with: folders by class, a file of labels, arrays, digits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.types import TensorType
from cnndsl.language.sources import read_source
from cnndsl.runtime.labelled import labelled_arrays, photos_by_class
from cnndsl.runtime.module import Array
from cnndsl.runtime.photos import ENDINGS, class_folders, photos_in

DIGITS = "digits"


@dataclass(frozen=True)
class Data:
    """Photos, or arrays [samples, C, H, W], with their classes from 0; `names` of these, if known.

    `remarks` tell what was left to decide.
    """

    items: Sequence[Path] | Array
    labels: Array
    names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """What an image is called."""
        item = self.items[index]
        return str(item) if isinstance(item, Path) else f"image {index}"


def read_data(
    spec: str | Path, labels: Path | None, classes: Path | None, outputs: int, kind: TensorType
) -> Data:
    """The images that a user names, for a network that tells `outputs` classes apart.

    A folder has a folder of images for each class, in the order of their names; there may be such
    folders in its folder `val` or `test` beside `train`. Or `labels` is a file with a line for each
    image: its path in the folder and its class, or the class alone, the images in the order of
    their names. A class is a number from 0, or a name of the file `classes`, which has them line by
    line in the order of the outputs. An .npz file has `images` [samples, C, H, W] and `labels`;
    `digits` are those of scikit-learn's that `cnndsl train` holds out.

    Raises CnnError: E0601, E0603, E0604, E0760, E0770.
    """
    names = () if classes is None else _lines(classes)
    if len(names) > outputs or len({*names}) < len(names):
        message = f"{classes} has {len(names)} names, not one for each of {outputs} classes"
        raise CnnError.of("E0770", message)
    path = Path(spec)
    if str(spec) == DIGITS:
        data = _digits(kind)
    elif path.suffix == ".npz":
        data = Data(*labelled_arrays(path, kind))
    elif not path.is_dir():
        hint = "a folder, an .npz file, or digits"
        problem = "it is no folder" if path.exists() else "there is no such folder"
        raise CnnError.of("E0601", f"cannot read {path}: {problem}", hint=hint)
    elif labels is not None:
        data = _listed(path, labels, names)
    else:
        data = _by_folder(path, names, outputs)
    if labels is not None and not isinstance(data.items, Sequence):
        raise CnnError.of("E0770", f"{spec} has labels of its own", hint="leave out --labels")
    if not len(data):
        raise CnnError.of("E0770", f"there are no images in {spec}")
    if data.labels.max() >= outputs or data.labels.min() < 0:
        wrong = int(np.argmax((data.labels >= outputs) | (data.labels < 0)))
        message = f"{data.name(wrong)} has class {data.labels[wrong]}"
        raise CnnError.of("E0770", f"{message}, the network tells {outputs} apart, from 0")
    return data


def _digits(kind: TensorType) -> Data:
    from cnndsl.train.data import read_data as read_training_data

    held_out = read_training_data(DIGITS, kind).held_out
    assert isinstance(held_out.items, np.ndarray)
    return Data(held_out.items, held_out.labels, tuple("0123456789"))


# Folders by class


def _by_folder(path: Path, names: Sequence[str], outputs: int) -> Data:
    if (path / "train").is_dir():
        path = next((path / n for n in ("val", "test") if (path / n).is_dir()), path)
    folders = class_folders(path)
    if not folders:
        hint = "--labels FILE has a line for each image: its path and its class"
        raise CnnError.of("E0770", f"{path} has no folders of images by class", hint=hint)
    found = [folder.name for folder in folders]
    order, remark = _order(path, found, names, outputs)
    items, labels = photos_by_class(dict(zip(folders, order, strict=True)), "E0770")
    known = tuple(names) or (tuple(found) if len(found) == outputs else ())
    return Data(items, labels, known, remark)


def _order(
    path: Path, found: Sequence[str], names: Sequence[str], outputs: int
) -> tuple[list[int], tuple[str, ...]]:
    """The class of each folder, and a remark if its name could mean another one."""
    if names:
        unknown = [name for name in found if name not in names]
        if unknown:
            raise CnnError.of("E0770", f"no class is called {unknown[0]!r}, a folder of {path}")
        return [names.index(name) for name in found], ()
    numbers = [int(name) if name.isascii() and name.isdigit() else -1 for name in found]
    counted = list(range(len(found)))
    if len(found) == outputs:
        unlike = min(numbers) >= 0 and numbers != counted
        shown = ", ".join(found[:5])
        return counted, (f"classes are in the order of their names: {shown}, …",) * unlike
    if min(numbers) < 0:
        message = f"{path} has {len(found)} folders, the network tells {outputs} classes apart"
        hint = "--classes FILE has the names of all classes, in the order of the outputs"
        raise CnnError.of("E0770", message, hint=hint)
    return numbers, ()


# A file of labels


def _listed(path: Path, labels: Path, names: Sequence[str]) -> Data:
    rows = [_row(line, names) for line in _lines(labels)]
    unknown = next((i for i, (_, label) in enumerate(rows) if label is None), None)
    if unknown is not None:
        line = _lines(labels)[unknown]
        hint = "lines have a path and a class: a number from 0, or a name of --classes FILE"
        raise CnnError.of("E0770", f"{labels}: there is no class in {line[:60]!r}", hint=hint)
    items = [path / place for place, _ in rows if place]
    twice = next((item for item, count in Counter(map(normpath, items)).items() if count > 1), None)
    if twice is not None:
        raise CnnError.of("E0770", f"{labels} has several lines for {twice!r}")
    if not items:
        items = photos_in(path)
    if len(items) != len(rows):
        message = f"{labels} has {len(rows)} classes, {path} has {len(items)} images"
        hint = f"images end in {', '.join(ENDINGS)}; or each line has a path and a class"
        raise CnnError.of("E0770", message, hint=hint)
    return Data(items, np.array([label for _, label in rows], np.int64), tuple(names))


def _row(line: str, names: Sequence[str]) -> tuple[str, int | None]:
    """The path of a line, if it has one, and the class at its end; None if there is none."""
    for separator in ("\t", ";", ",", " "):
        place, _, word = line.rpartition(separator)
        label = _label(word, names)
        if label is not None:
            return place.strip(' \t,;"'), label
    return "", None


def _label(word: str, names: Sequence[str]) -> int | None:
    word = word.strip(' "')
    if word in names:
        return names.index(word)
    is_number = word.isascii() and word.isdigit() and len(word) < 10
    return int(word) if is_number else None


def _lines(path: Path) -> tuple[str, ...]:
    lines = (line.strip() for line in read_source(path).text.splitlines())
    return tuple(line for line in lines if line)
