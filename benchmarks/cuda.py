"""The cuda target on a GPU: is it right, how long does a call take, and how long with PyTorch.

Usage: python -m benchmarks.cuda [--arch sm_90] [--seconds S] [NETWORK ...]

Times are medians of calls between buffers on the GPU. PyTorch, if it and torchvision are
installed, runs torchvision's network of that name with max-autotune and channels last.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import cnndsl
from cnndsl.backends.cuda.module import CudaModule
from cnndsl.runtime.module import Array

NETWORKS = ("resnet50", "resnet18", "mobilenet_v2", "densenet121", "vgg16", "resnext50_32x4d")
FORMS = (("f32", 1), ("tf32", 1), ("f16", 1), ("tf32", 32), ("f16", 32))
TOLERANCE = {"f32": 1e-4, "tf32": 2e-2, "f16": 2e-2}
"""Largest error of an output relative to its largest number."""
WARM_UP = 10


def main() -> None:
    """Print a line for each network, precision and batch; exit 1 if a result is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    print(f"{'network':18}{'precision':>10}{'batch':>7}{'error':>10}{'ms':>9}{'images/s':>10}"
          f"{'torch ms':>10}{'ratio':>7}")  # fmt: skip
    right = True
    for network in options.networks:
        for precision, batch in FORMS:
            module = cnndsl.compile(
                network, "cuda", seed=0, arch=options.arch, precision=precision, batch=batch
            )
            assert isinstance(module, CudaModule)
            error = relative_error(network, module, batch)
            right &= error <= TOLERANCE[precision]
            own = median_seconds(device_call(module), options.seconds)
            rival = torch_seconds(network, precision, batch, options.seconds)
            print(row(network, precision, batch, error, own, rival), flush=True)
    raise SystemExit(not right)


def row(
    network: str, precision: str, batch: int, error: float, own: float, rival: float | None
) -> str:
    """One line of the table."""
    compared = f"{rival * 1e3:10.3f}{rival / own:7.2f}" if rival else f"{'-':>10}{'-':>7}"
    return (
        f"{network:18}{precision:>10}{batch:7}{error:10.1e}{own * 1e3:9.3f}{batch / own:10.0f}"
        + compared
    )


def images(module: CudaModule, batch: int) -> dict[str, Array]:
    """Random inputs."""
    rng = np.random.default_rng(0)
    return {
        port.name: rng.normal(size=module.batch_shape(port)).astype(np.float32)
        for port in module.inputs
    }


def relative_error(network: str, module: CudaModule, batch: int) -> float:
    """The largest error of the first sample's outputs against the reference."""
    arrays = images(module, batch)
    first = {name: array[:1] for name, array in arrays.items()}
    wanted = cnndsl.compile(network, "reference", seed=0).run(first)
    made = module.run(arrays)
    return max(
        float(np.abs(made[name][:1] - right).max() / np.abs(right).max())
        for name, right in wanted.items()
    )


def device_call(module: CudaModule) -> Callable[[], Any]:
    """A call between the module's own buffers on the GPU."""
    return lambda: module.run_on_device({})


def median_seconds(call: Callable[[], Any], seconds: float) -> float:
    """The median time of a call that waits for its results."""
    for _ in range(WARM_UP):
        call()
    times: list[float] = []
    while sum(times) < seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def torch_seconds(network: str, precision: str, batch: int, seconds: float) -> float | None:
    """PyTorch's time for torchvision's network of that name; None where there is none."""
    if not (importlib.util.find_spec("torch") and importlib.util.find_spec("torchvision")):
        return None
    torch, zoo = map(importlib.import_module, ("torch", "torchvision.models"))
    if not hasattr(zoo, network):
        return None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    dtype = torch.float16 if precision == "f16" else torch.float32
    model = getattr(zoo, network)().cuda().to(dtype).to(memory_format=torch.channels_last).eval()
    image = torch.randn(batch, 3, 224, 224, device="cuda", dtype=dtype)
    image = image.to(memory_format=torch.channels_last)
    compiled = torch.compile(model, mode="max-autotune")

    def call() -> None:
        with torch.inference_mode():
            compiled(image)
        torch.cuda.synchronize()

    return median_seconds(call, seconds)


if __name__ == "__main__":
    main()
