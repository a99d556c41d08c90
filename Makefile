# Every target sets up what it needs: a virtual environment in .venv with the pinned versions of constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export OMP_NUM_THREADS ?= 1
export MYPY_CACHE_DIR ?= $(VENV)/.mypy

.PHONY: setup demo test check bench study-real clean
.DEFAULT_GOAL := test

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	UV_COMPILE_BYTECODE=1 $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/augury study 'phantom:brain?n=600&size=32' --out demo/study --preset quick --size 32 --generators cvae \
	  --arms real,sequential:cvae:0.5,mixed:cvae:0.5,generated:cvae,shuffled:cvae:0.5,labels:0.25,labels:0.5 \
	  --set steps=150 --set cvae.steps=500
	@echo "open demo/study/report.html"

check: $(READY)
	$(BIN)/ruff format --check src tests experiments benchmarks
	$(BIN)/ruff check src tests experiments benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/python -m pytest -n 2

bench: $(READY)
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

# The slow studies on real images in ../shared/data; docs/log.md holds what they gave.
study-real: $(READY)
	$(BIN)/python -m pytest -m 'real or slow'
	for file in experiments/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) demo
