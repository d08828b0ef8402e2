# Everything that a newcomer or CI runs. `make` alone lists the targets; each sets itself up, once.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYCAFFE := .pycaffe
# CAFFE_PYTHON names a Caffe of your own; then none is fetched.
CAFFE := $(if $(CAFFE_PYTHON),,$(PYCAFFE)/packages.txt)

# Any Python 3.11 to 3.13 with venv; only used to make the environments.
PYTHON ?=
# What `make backends` installs for PyTorch. On Linux the usual index has it with CUDA, which is
# gigabytes and works; where yours offers a CPU build: make backends TORCH='torch==2.13.0+cpu'
TORCH ?= torch==2.13.0
# Extra arguments for pytest: make test PYTEST_ARGS='-k pooling'
PYTEST_ARGS ?=
# One process per core: parity tests wait for Caffe and TensorFlow in turn, at about 1 GB each.
PYTEST_WORKERS := --numprocesses auto --maxprocesses 8 --dist worksteal

BENCHMARKS := $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup pycaffe demo test lint bench backends corpus mappings zoo tfmodels roundtrips faults wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/dev.stamp ## the development environment, in .venv

pycaffe: $(PYCAFFE)/packages.txt ## real Caffe (Debian 11's, CPU), below .pycaffe, without root

demo: $(VENV)/demo.stamp ## train a small net, convert it to Caffe and back, compare all three
	$(BIN)/python examples/demo.py

test: $(VENV)/dev.stamp $(CAFFE) ## all tests, against real Caffe
	$(BIN)/python -m pytest $(PYTEST_WORKERS) $(PYTEST_ARGS)

lint: $(VENV)/dev.stamp ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev.stamp $(CAFFE) ## every benchmark, beside its rivals
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script; done

backends: $(VENV)/dev.stamp .venv-jax/make.stamp .venv-torch/make.stamp ## .keras files under JAX and PyTorch
	$(BIN)/python -m pytest tests/backends $(PYTEST_ARGS)

corpus: $(VENV)/dev.stamp $(CAFFE) ## the sweep over a folder of real nets (CORPUS=...), resumable
	$(BIN)/python tests/corpus_sweep.py

mappings: $(VENV)/dev.stamp $(CAFFE) ## the shipped mappings between real models and real Caffe, resumable
	$(BIN)/python tests/mapping_sweep.py

zoo: $(VENV)/dev.stamp $(CAFFE) ## the nets of keras.applications in real Caffe, resumable
	$(BIN)/python tests/zoo_sweep.py

tfmodels: $(VENV)/dev.stamp $(CAFFE) ## real TensorFlow models (CORPUS=...) in real Caffe, resumable
	$(BIN)/python tests/tf_sweep.py

roundtrips: $(VENV)/dev.stamp $(CAFFE) ## real Caffe nets to Keras and back to Caffe, resumable
	$(BIN)/python tests/round_trip_sweep.py

faults: $(VENV)/dev.stamp $(CAFFE) ## plant known mistakes, one at a time: each must turn the tests red
	$(BIN)/python tests/plant_faults.py

wheel: $(VENV)/dev.stamp ## wheel and sdist, in dist/
	$(BIN)/python -m build --no-isolation --outdir dist .

clean: ## remove what was built; the environments and real Caffe stay
	rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache
	find benchmarks caffe2tf common examples tests tf2caffe -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(if $(PYTHON),'$(PYTHON)',python3 python3.13 python3.12 python3.11); do \
	  "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue; \
	  "$$python" -m venv $(VENV) && exit 0; \
	  rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "make: installing python3-venv" >&2; \
	    apt-get update -qq && apt-get install -qq --yes python3-venv >/dev/null && "$$python" -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	  fi; \
	  echo "make: $$python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
	  exit 1; \
	done; \
	echo "make: no Python 3.11 to 3.13 found; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	exit 1

# The development environment has all that the demo needs, so it counts as both.
$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[test,lint]'
	@touch $(VENV)/demo.stamp $@

$(VENV)/demo.stamp: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[demo]'
	@touch $@

$(PYCAFFE)/packages.txt: | $(VENV)/dev.stamp
	$(BIN)/python -m tfcaffe.oracle.install --into $(PYCAFFE)

# Keras of the version that writes the files, one backend, and nothing of ours.
.venv-jax/make.stamp: PACKAGES = jax
.venv-torch/make.stamp: PACKAGES = '$(TORCH)'
.venv-%/make.stamp: $(VENV)/dev.stamp
	$(BIN)/python -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check $(PACKAGES) \
	  "keras==$$($(BIN)/python -c 'from importlib.metadata import version; print(version("keras"))')"
	@touch $@
