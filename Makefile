# Two commands for everybody: `make demo` and `make test`. `make` alone lists all.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PY := $(BIN)/python
IMGPIPE := $(BIN)/imgpipe

.DEFAULT_GOAL := help
.PHONY: help demo setup test test-all test-slice check ci lint types audit workflows docs pages reference captures \
  release fmt lock live live-clean bench accuracy crash-matrix verify-model clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit("imgpipe needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.local: $(PY) pyproject.toml
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[local]'
	@touch $@

$(VENV)/.dev: $(PY) pyproject.toml requirements-dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.local

DEMO := --local --project demo

demo: $(VENV)/.local ## the whole pipeline on this machine: set up, send the sample pictures, show their labels
	$(IMGPIPE) up $(DEMO) --features labels,faces,text
	$(IMGPIPE) upload $(DEMO) --wait examples/astronaut.jpg examples/cat.jpg examples/coffee.jpg examples/sign.png
	@echo
	@echo "Next:  $(IMGPIPE) upload YOUR_PICTURE.jpg --wait"
	@echo "       $(IMGPIPE) result astronaut.jpg"
	@echo "       $(IMGPIPE) status        (with the page's URL)"
	@echo "Stop:  $(IMGPIPE) down"

setup: $(VENV)/.dev ## the environment for developing

PYTEST := $(PY) -m pytest -n auto

test: $(VENV)/.dev ## every behavior once: all tests that need no AWS account; 13 minutes on two cores
	$(PYTEST) tests

# Shuffled, so that no test can come to need its neighbors.
test-all: $(VENV)/.dev ## every case of every test, in random order, with the coverage of the code
	$(PYTEST) tests --exhaustive all --random-order --random-order-bucket global --cov --cov-report term:skip-covered

SLICES := 12
# It moves with the commit: twelve commits in a row see about all of the exhaustive cases.
SLICE ?= $(shell $(PYTHON) -c 'import subprocess; print(int(subprocess.check_output(["git", "rev-list", "--count", "HEAD"])) % $(SLICES))')

test-slice: $(VENV)/.dev ## one slice of the cases that make test leaves out; SLICE=3 for that of an earlier commit
	@echo "Slice $(SLICE) of $(SLICES); the same again: make test-slice SLICE=$(SLICE)"
	$(PYTEST) tests --exhaustive $(SLICE)/$(SLICES)

lint: $(VENV)/.dev ## style and common mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## types, strictly
	$(BIN)/mypy

audit: $(VENV)/.dev ## licenses and known vulnerabilities of the locked dependencies
	$(PY) .ci/check_dependencies.py

workflows: $(VENV)/.dev ## what GitHub would run, checked for known weaknesses
	$(BIN)/zizmor --offline --no-progress .github/workflows

SITE := build/docs

# -n: every reference is looked up; -W: a broken link, image or heading, or a page in no list, is an error.
pages: $(VENV)/.dev ## build the documentation into build/docs, strictly
	$(PY) -m sphinx --quiet --nitpicky --fail-on-warning --keep-going --builder html docs $(SITE)

docs: pages ## build the documentation and show it at http://127.0.0.1:8000
	$(PY) -m http.server --bind 127.0.0.1 --directory $(SITE) 8000

reference: $(VENV)/.dev ## renew the pages of docs/reference that follow from the program
	$(PY) -m tests.docs.reference

captures: $(VENV)/.dev ## renew the outputs and screenshots in README and docs from a real run
	PYTHONPATH=lambda_src $(PY) -m tests.docs.capture
	PYTHONPATH=lambda_src $(PY) -m tests.browser.take_screenshots

check: lint types audit workflows pages test ## lint, types, audit, documentation, tests

release: $(VENV)/.dev ## build wheel and sdist into dist, and try each in an empty environment
	rm -rf dist
	$(PY) -m build --no-isolation
	$(PY) .ci/check_release.py dist

ci: check test-slice ## what CI runs

fmt: $(VENV)/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

live: $(VENV)/.dev ## the same on real AWS: needs an account, costs under two US cents, cleans up after itself
	$(PY) -m pytest tests/live --live -m live

live-clean: $(VENV)/.dev ## take away what an interrupted make live has left; REGION=eu-west-1 where it was another
	$(PY) -m tests.live.leftovers $(if $(REGION),--region $(REGION))

bench: $(VENV)/.dev ## measure the speed that docs/explanation/performance.md shows
	$(PY) benchmarks/run.py

accuracy: $(VENV)/.dev ## count what the local analysis names right, wrong and not at all in photographs
	$(PY) benchmarks/accuracy.py

POINTS ?= each

crash-matrix: $(VENV)/.dev ## break every request of up and down once and look what is left; POINTS=300 for fewer, all for all
	PYTHONPATH=lambda_src $(PY) -m tests.crash_matrix --points $(POINTS)

# Proves what could not be run where the weights are not at hand: hash, boxes, no label that is not in a picture.
verify-model: $(VENV)/.dev ## FILE=yolox_tiny.onnx: the real object model on the sample pictures
	$(if $(FILE),,$(error Name the file: make verify-model FILE=yolox_tiny.onnx))
	IMGPIPE_MODEL_FILE="$(abspath $(FILE))" $(PY) -m pytest -rA tests/local/rekognition/test_rekognition_weights.py

lock: $(VENV)/.dev ## renew requirements-dev.txt: the newest versions that pyproject.toml allows, with their hashes
	$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --extra dev \
	  --custom-compile-command "make lock" --output-file requirements-dev.txt pyproject.toml

clean: ## remove the environment and what was built
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
