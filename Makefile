# Everything happens in .venv; a second call of a target reuses it.
PYTHON ?= python3
# To keep a torch that is already installed: make setup VENV_FLAGS=--system-site-packages CONSTRAINTS=
VENV_FLAGS ?=
CONSTRAINTS ?= constraints.txt
BIN := .venv/bin


.DEFAULT_GOAL := help

.PHONY: help
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

.PHONY: setup
setup: .venv/.ready  ## Make .venv and install finecut with its tools

.venv/.ready: pyproject.toml $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV_FLAGS) .venv
	$(BIN)/python -m pip install $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[dev]'
	touch $@

.PHONY: demo
demo: setup  ## Train a small network on built-in data, test it, print its table (5 minutes)
	$(BIN)/python train.py experiment=demo

.PHONY: train
train: setup  ## Train: make train ARGS="model=isnet data=dis5k"
	$(BIN)/python train.py $(ARGS)

.PHONY: check-data
check-data: setup  ## Check a data set: make check-data DATA=dis5k ROOT=folder
	$(BIN)/python -m src check data=$(DATA) $(if $(ROOT),data.root=$(ROOT))

.PHONY: reproduce
reproduce: setup  ## A paper's row: make reproduce EXP=isnet/dis5k DATA_ROOT=folder [SEEDS=0,1,2]
	$(BIN)/python -m src reproduce experiment=$(EXP) seeds=$(or $(SEEDS),0) \
		$(if $(DATA_ROOT),data.root=$(DATA_ROOT)) $(ARGS)

.PHONY: reproduce-mini
reproduce-mini: setup  ## All six systems in miniature, 2 seeds: make reproduce-mini OUT=folder
	OMP_NUM_THREADS=1 $(BIN)/python -m src reproduce experiment=miniature seeds=0,1 \
		output=$(or $(OUT),logs/miniature) at_once=2 measure=false

.PHONY: test
test: setup  ## Run the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

.PHONY: quick
quick: lint  ## Check style and types, then run the tests that are not marked slow
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" $(ARGS)

# What exercises each dependency. Old packages warn of newer ones; those warnings are not ours.
LOWEST := $(addprefix tests/,$(addprefix datamodules/test_,images.py photo_kinds.py \
	augmentation.py sample_cache.py coco_instances.py pascal_sbd.py instance_sources.py) $(addprefix metrics/test_,golden.py \
	scores.py bits.py) $(addprefix networks/test_,backbone.py rsu.py) \
	$(addprefix weights/test_,loading.py registry.py) test_download.py settings test_configs.py \
	engines/test_formats.py engines/test_engine_network.py webapp/test_server.py inference/test_video.py \
	inference/test_foreground.py reporting/test_page.py reporting/test_curves.py \
	results/test_folder.py test_render.py networks/test_birefnet.py losses/test_birefnet.py \
	sweeps/test_search.py test_train.py::test_a_run_leaves_its_results_and_where_they_come_from)

.PHONY: test-lowest
test-lowest: .venv-lowest/.ready  ## Run a quick suite with the oldest packages that pyproject.toml allows
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -W default -n 2 --dist worksteal $(LOWEST) $(ARGS)

.venv-lowest/.ready: pyproject.toml | setup
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	$(BIN)/uv pip install --python .venv-lowest --resolution lowest-direct -e '.[test]'
	touch $@

# One resolution for all Pythons and systems. What is pinned stays where the bounds allow it, so that
# 3.11, on which the suite runs, changes only with ARGS=--upgrade or ARGS="-P PACKAGE".
.PHONY: constraints
constraints:  ## Pin in constraints.txt what pyproject.toml asks for, for every Python
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --all-extras --no-annotate \
		--custom-compile-command "make constraints" pyproject.toml -o constraints.txt $(ARGS)

.PHONY: lint
lint: setup  ## Check style (ruff) and types (mypy)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: setup  ## Rewrite the files in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: wheel
wheel: setup  ## Build the wheel in dist/
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

.PHONY: docs
docs: setup  ## Build the pages of docs/ as a site in site/
	$(BIN)/python -m pip install $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[docs]'
	$(BIN)/mkdocs build --strict

.PHONY: bench
bench: setup  ## Measure ours beside the peers (CPU set, 10 minutes)
	for name in startup metrics_kernels metrics data synthetic \
		"inference --images 1 --models isnet,u2netp" "step --steps 10" \
		"networks --models u2netp --seconds 2"; do \
		echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

.PHONY: clean
clean:  ## Remove caches, not logs or the environment
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*/*' -exec rm -rf {} +
