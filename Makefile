# Two commands on a fresh machine: `make demo` and `make test`. Both need CPython 3.11 with venv, and nothing else.
# TORCH_INDEX=URL installs another build of torch, e.g. https://download.pytorch.org/whl/cpu

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint docs dependencies lowest newest image campaign campaign-small opencv ray-smoke audit-pages full bench bench-small bench-check bench-gpu clean

demo: $(VENV)/installed
	$(BIN)/xbench run --model xclip --dataset didemo --miniature --output .demo

test: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# The tests that hold frames and pixels against OpenCV, with the last version of the published family and with
# the one that is installed. Only OpenCV differs, so the older one lies in a folder of its own.
opencv: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(VENV)/opencv4 opencv-python-headless==4.12.0.88
	PYTHONPATH=$(VENV)/opencv4 $(BIN)/python -m pytest tests/video -k "opencv or pixels or real_videos"
	$(BIN)/python -m pytest tests/video -k "opencv or pixels or real_videos"

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict xbench

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# A local Ray cluster on which a worker is killed in each kind of unit.
ray-smoke: $(VENV)/installed-ray
	XBENCH_RAY=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/pipeline/test_ray.py tests/pipeline/test_ray_sweep.py -k "killed_in_each or side_by_side"

# The pages in a browser by axe-core, which comes from npm: contrast, labels, headings, keyboard, nothing cut off.
audit-pages: $(VENV)/installed
	$(BIN)/python -m tools.audit_pages

# What takes too long for every change.
full: test lint docs opencv campaign audit-pages dependencies $(VENV)/installed-ray
	XBENCH_RAY=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/pipeline/test_ray.py tests/pipeline/test_ray_sweep.py

# Wheel and source archive in clean environments, with the lowest and the newest versions that pyproject.toml allows.
# DEPENDENCIES_PYTHON=python3.14 tries another interpreter.
DEPENDENCIES_PYTHON ?= $(PYTHON)
dependencies: lowest newest
lowest: $(VENV)/installed-test
	$(PIP) uv
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.dependencies lowest --python $(DEPENDENCIES_PYTHON)

newest: $(VENV)/installed-test
	$(PIP) uv
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.dependencies newest --sdist --python $(DEPENDENCIES_PYTHON)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.dependencies newest --extras --no-tests --python $(DEPENDENCIES_PYTHON)

# The image of the demo, where a Docker engine is at hand.
image:
	docker build --tag xbench .
	docker run --rm xbench

bench: $(VENV)/installed-test
	$(BIN)/python -m benchmarks --json bench.json

bench-small: $(VENV)/installed-test
	$(BIN)/python -m benchmarks --small

bench-check: $(VENV)/installed-test
	$(BIN)/python -m benchmarks --check

bench-gpu: $(VENV)/installed-test
	$(BIN)/python -m benchmarks.gpu --json benchmarks/gpu.json --docs docs/performance.md

campaign: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.campaign --docs docs/faults.md

campaign-small: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.campaign --small

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "Installing xbench and what it needs into $(VENV) (the first time takes a minute or two) ..."
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) --editable ".[test]"
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(PIP) --editable ".[docs]"
	@touch $@

$(VENV)/installed-ray: $(VENV)/installed-test
	$(PIP) --editable ".[ray]"
	@touch $@

clean:
	rm -rf $(VENV) .demo .site build dist
