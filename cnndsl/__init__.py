"""cnndsl: a graph compiler for convolutional networks.

>>> net = cnndsl.parse("resnet50")
>>> module = cnndsl.compile(net, target="onnx", weights="resnet50.safetensors")
>>> probabilities = module(image)
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_clone = os.path.dirname(__path__[0])
if os.path.isfile(os.path.join(_clone, "grammars", "cnn.lark")):
    __path__.append(_clone)  # in a clone backends, grammars and networks stand beside this folder

if TYPE_CHECKING:
    from cnndsl.api import (
        Network,
        calibrate,
        check,
        compile,
        gradients,
        load,
        load_onnx,
        open_model,
        parse,
        sign,
        zoo,
    )
    from cnndsl.diagnostics import CnnError, CnnWarning
    from cnndsl.evaluation.evaluate import evaluate
    from cnndsl.measure.targets import bench, compare

__all__ = [
    "CnnError",
    "CnnWarning",
    "Network",
    "bench",
    "calibrate",
    "check",
    "compare",
    "compile",
    "evaluate",
    "gradients",
    "load",
    "load_onnx",
    "open_model",
    "parse",
    "sign",
    "zoo",
]


def __getattr__(name: str) -> Any:
    """Import the API when it is first used, so that `import cnndsl` costs next to nothing."""
    if name in ("CnnError", "CnnWarning"):
        from cnndsl import diagnostics

        return getattr(diagnostics, name)
    if name in ("load", "sign"):
        from cnndsl import artefacts

        return getattr(artefacts, name)
    if name in ("bench", "compare"):
        from cnndsl.measure import targets

        return getattr(targets, name)
    if name == "evaluate":
        from cnndsl.evaluation import evaluate

        return evaluate.evaluate
    if name in __all__:
        from cnndsl import api

        return getattr(api, name)
    raise AttributeError(f"module 'cnndsl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
