# Every target sets up .venv by itself. On a machine without a GPU, choose PyTorch's CPU build through
# PIP_TORCH_ARGS (see README, "Install"); OMNIBUS_HOME says where models and sessions live.
PYTHON ?= python3
TORCH ?= torch==2.13.0
PIP_TORCH_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# Tests run in so many processes, of up to 5 GB each.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term --durations=15

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-all screenshots lint format clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## make .venv with the pinned dependencies

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q "$(TORCH)" $(PIP_TORCH_ARGS)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[test,lint]"
	@touch $@

demo: setup ## load the samples and a real codebase, ask three questions, show the citations
	$(BIN)/omnibus demo

serve: setup ## open the web page on http://127.0.0.1:8321
	$(BIN)/omnibus serve

test: setup lint ## lint, types, contracts and the test suite (what CI runs)
	$(PYTEST) -m "not slow"

test-all: setup lint ## the same with the slow tests
	$(PYTEST)

screenshots: setup ## pictures of the page, into data/screenshots
	mkdir -p data/screenshots
	OMNIBUS_SCREENSHOTS=data/screenshots $(BIN)/python -m pytest -q tests/ui

lint: setup ## ruff, mypy and the import contracts of the layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv and caches (not OMNIBUS_HOME)
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
