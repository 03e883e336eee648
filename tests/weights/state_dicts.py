"""Names and shapes of other frameworks' state dicts, as recorded in tests/data/state_dicts."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "state_dicts"
ZOO_NAMES = {
    "alexnet": "alexnet_torchvision",
    "googlenet": "googlenet_torchvision",
    "legacy_xception": "xception_timm",
    "seresnet50": "se_resnet50_v1_5",
    "legacy_seresnet50": "se_resnet50",
    "regnety_004": "regnet_y_400mf",
    "ghostnet_100": "ghostnet",
    "darknet53": "darknet53_timm",
    "retinanet_resnet50_fpn": "retinanet",
}
"""Where the zoo has another name for a model."""

Shapes = dict[str, tuple[int, ...]]


@cache
def recorded(source: str) -> dict[str, Shapes]:
    """By model the shapes of its arrays by name, in the order of the state dict."""
    models = json.loads(gzip.decompress((FOLDER / f"{source}.json.gz").read_bytes()))
    return {
        model: {name: tuple(shape) for name, shape in shapes.items()}
        for model, shapes in models.items()
    }


MODELS = [(source, model) for source in ("torchvision", "timm") for model in recorded(source)]
