"""Samples on the command line: the photos of a folder, digits, or arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from cnndsl.cli.parameters import NamedPath
from cnndsl.cli.photos import chosen_photo, refuse_without_photos
from cnndsl.cli.run import Files

if TYPE_CHECKING:
    from cnndsl.network import Network
    from cnndsl.quantise.samples import Arrays, Photos

DIGITS, SAMPLES = "digits", 128
"""What scikit-learn's digits are called, and how many of them are samples."""

images_option = click.option(
    "--images", type=click.Path(path_type=Path), help="A folder of photos, or `digits`."
)
inputs_option = click.option(
    "--input", "inputs", type=NamedPath(), multiple=True, help="An .npy or .npz file."
)


def require_one_source(images: Path | None, inputs: Files, photo: Mapping[str, Any]) -> None:
    """Raise UsageError unless there are photos or arrays, and not both."""
    if (images is None) == (not inputs):
        raise click.UsageError("give either --images or --input")
    if inputs:
        refuse_without_photos(photo)


def read_samples(
    network: Network, images: Path | None, inputs: Files, photo: Mapping[str, Any]
) -> Photos | Arrays:
    """What `require_one_source` lets through. Raises CnnError for what cannot be read."""
    if images and str(images) == DIGITS:
        return _digits(network)
    return _photos(images, network, photo) if images else _arrays(inputs)


def _photos(folder: Path, network: Network, given: Mapping[str, Any]) -> Photos:
    from cnndsl.quantise.samples import Photos

    name, kind = next(iter(network.inputs.items()))
    return Photos.of(folder, chosen_photo(network.photos, name, given, kind))


def _digits(network: Network) -> Arrays:
    from cnndsl.quantise.samples import Arrays
    from cnndsl.train.data import read_data

    name, kind = next(iter(network.inputs.items()))
    train = read_data(DIGITS, kind).train
    return Arrays({name: train.batch(np.arange(SAMPLES))[0]})


def _arrays(files: Files) -> Arrays:
    from cnndsl.diagnostics import CnnError
    from cnndsl.quantise.samples import Arrays
    from cnndsl.runtime.arrays import read_arrays

    found = {}
    for given, path in files:
        for key, array in read_arrays(path).items():
            name = given or key
            if name in found:
                raise CnnError.of("E0604", f"{path} is one input too many", hint="NAME=FILE")
            found[name] = array
    return Arrays(found)
