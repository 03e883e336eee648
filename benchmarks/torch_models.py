"""Networks of torchvision and timm as ONNX models, and what becomes of them here.

    python -m benchmarks.torch_models export FOLDER [MODEL ...] [--dynamo]
    python -m benchmarks.torch_models compare FOLDER [MODEL ...] [--targets onnx,cpu] [--json FILE]

`export` needs torch, torchvision, timm, onnx and onnxscript, and nothing of cnndsl, so that it runs
in an environment of their own; `compare` needs cnndsl alone. The weights are random, and so are the
statistics of batch normalisation. `compare` prints for each model the operator nodes, the non-blank
lines of its text, the seconds of processor time that importing and writing took, and the largest
difference of each target from onnxruntime, relative to the largest output.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

TORCHVISION = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s"),
    *("googlenet", "inception_v3", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small"),
    *("regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet50", "resnext50_32x4d"),
    *("shufflenet_v2_x0_5", "squeezenet1_0", "squeezenet1_1", "vgg11_bn", "wide_resnet50_2"),
)
SEGMENTATION = ("deeplabv3_mobilenet_v3_large", "fcn_resnet50", "lraspp_mobilenet_v3_large")
TIMM = (
    *("bat_resnext26ts", "botnet26t_256", "coatnet_nano_rw_224", "convmixer_768_32"),
    *("convnextv2_atto", "cs3darknet_s", "cspdarknet53", "cspresnet50", "dla34", "dpn48b"),
    *("eca_nfnet_l0", "eca_resnet33ts", "edgenext_xx_small", "efficientnet_lite0"),
    *("efficientvit_b0", "ese_vovnet19b_dw", "fastvit_t8", "fbnetc_100", "focalnet_tiny_srf"),
    *("gcresnet33ts", "gernet_s", "ghostnet_050", "ghostnetv2_100", "halonet26t"),
    *("hardcorenas_a", "hgnetv2_b0", "hrnet_w18_small", "inception_next_atto"),
    *("inception_resnet_v2", "inception_v4", "lambda_resnet26t", "lcnet_050"),
    *("legacy_seresnet18", "legacy_xception", "levit_128s", "mambaout_femto", "maxvit_tiny_rw_224"),
    *("mixer_s32_224", "mixnet_s", "mobilenetv4_conv_small", "mobileone_s0", "mobilevit_xxs"),
    *("nf_resnet26", "poolformer_s12", "regnetz_b16", "repghostnet_050", "repvgg_a0"),
    *("res2net50_14w_8s", "resnest14d", "resnetv2_50", "resnetv2_50x1_bit", "rexnet_100"),
    *("selecsls42b", "semnasnet_075", "seresnext26d_32x4d", "skresnet18", "spnasnet_100"),
    *("starnet_s1", "tf_efficientnet_b0", "tf_mixnet_s", "tinynet_e", "tresnet_m"),
    *("vit_tiny_patch16_224", "xception41"),
)
MODELS = (
    *TORCHVISION,
    *(f"segmentation.{name}" for name in SEGMENTATION),
    *(f"timm.{name}" for name in TIMM),
)


def export(folder: Path, names: Sequence[str], dynamo: bool) -> None:
    """Write each model that is not there, with one sample of one size."""
    import torch

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    for name in names:
        path = folder / f"{name}{'.dynamo' if dynamo else ''}.onnx"
        if path.exists():
            continue
        torch.manual_seed(0)
        try:
            model, size = _model(name)
            _perturb(model)
            image = torch.randn(1, 3, size, size)
            how = {} if dynamo else {"opset_version": 17, "dynamic_axes": {"image": {0: "N"}}}
            torch.onnx.export(
                *(model.eval(), (image,), path),
                dynamo=dynamo,
                input_names=["image"],
                external_data=False,
                verbose=False,
                **how,
            )
        except Exception as error:  # exporters raise whatever they meet
            print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:100]}", flush=True)
        else:
            print(f"{name}: {path.stat().st_size:,} bytes", flush=True)


def _model(name: str) -> tuple[Any, int]:
    """A network with random weights, and the size of its images."""
    family, _, kind = name.rpartition(".")
    if family == "timm":
        import timm

        model = timm.create_model(kind, pretrained=False, scriptable=False, exportable=True)
        return model, model.default_cfg["input_size"][-1]
    import torchvision.models as zoo

    if family == "segmentation":
        return getattr(zoo.segmentation, kind)(weights=None, weights_backbone=None), 128
    more = {"init_weights": True} if kind in ("googlenet", "inception_v3") else {}
    return getattr(zoo, kind)(weights=None, **more), 299 if kind == "inception_v3" else 224


def _perturb(model: Any) -> None:
    """Give normalisation numbers that are not 0 and 1, and not the same twice."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)


@dataclass(frozen=True)
class Row:
    """What became of one model; `errors` has the largest difference by target."""

    model: str
    nodes: int
    lines: int
    seconds: float
    errors: dict[str, float]


def compare(path: Path, targets: Sequence[str]) -> Row:
    """Import a model and run it. Raises CnnError where that fails."""
    import cnndsl
    from cnndsl.importers.onnx.load import load
    from cnndsl.importers.text import written

    start = time.process_time()
    found = load(path)
    text = written(found).text
    seconds = time.process_time() - start
    feeds, wanted, nodes = _original(path)
    net = cnndsl.Network(found.graph, weights=found.weights, path=str(path))
    errors = {}
    for target in targets:
        module = cnndsl.compile(net, target)
        made = module.run(dict(zip(net.inputs, feeds.values(), strict=True)))
        errors[target] = max(map(_difference, wanted, made.values()))
    lines = sum(bool(line.strip()) for line in text.splitlines())
    return Row(path.stem, nodes, lines, seconds, errors)


def _original(path: Path) -> tuple[dict[str, Any], list[Any], int]:
    """Inputs, the outputs of onnxruntime for them, and the number of operators of a model."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {
        port.name: rng.standard_normal(
            [size if isinstance(size, int) else 1 for size in port.shape], np.float32
        )
        for port in session.get_inputs()
    }
    kinds = [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]
    return feeds, session.run(None, feeds), len(kinds) - kinds.count("Constant")


def _difference(wanted: Any, made: Any) -> float:
    if wanted.size != made.size:
        return float("inf")
    scale = max(float(np.abs(wanted).max()), 1e-30)
    return float(np.abs(wanted.reshape(-1) - made.reshape(-1)).max()) / scale


def compare_all(paths: Iterator[Path], targets: Sequence[str]) -> list[Row]:
    """Print a line for each model, and at the end how many are right."""
    from cnndsl import CnnError

    rows: list[Row] = []
    found = list(paths)
    print(f"| model | nodes | lines | s | {' | '.join(targets)} |")
    print(f"|---|---|---|---|{'---|' * len(targets)}")
    for path in found:
        try:
            row = compare(path, targets)
        except CnnError as error:
            print(f"| {path.stem} | {str(error).splitlines()[0]} |", flush=True)
            continue
        rows.append(row)
        errors = " | ".join(f"{row.errors[target]:.1e}" for target in targets)
        print(
            f"| {row.model} | {row.nodes} | {row.lines} | {row.seconds:.1f} | {errors} |",
            flush=True,
        )
    right = sum(max(row.errors.values()) <= 1e-4 for row in rows)
    print(f"\n{right} of {len(found)} within 1e-4, {len(found) - len(rows)} refused")
    return rows


def main() -> None:
    """Export, or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("verb", choices=("export", "compare"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="all by default")
    parser.add_argument("--dynamo", action="store_true", help="export by the newer exporter")
    parser.add_argument("--targets", default="onnx", type=lambda text: text.split(","))
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    if given.verb == "export":
        given.folder.mkdir(parents=True, exist_ok=True)
        export(given.folder, given.models or MODELS, given.dynamo)
        return
    names = given.models
    paths = sorted(given.folder.glob("*.onnx"), key=lambda path: path.stat().st_size)
    chosen = (path for path in paths if not names or path.stem in names)
    rows = compare_all(chosen, given.targets)
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
