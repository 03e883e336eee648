#!/bin/sh
# All that needs a GPU, in one go: is the target cuda right on this one, and how fast.
# Usage: benchmarks/gpu.sh [NETWORK ...]; PYTHON names another interpreter, JSON the file of figures.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}

if ! command -v nvidia-smi >/dev/null; then
    echo 'no nvidia-smi: this needs a machine with an NVIDIA GPU and its driver' >&2
    exit 2
fi
nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader
arch=sm_$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '. ')
exec "$python" -m benchmarks.cuda --arch "$arch" --json "${JSON:-gpu.json}" "$@"
