# make setup  the environment for development     make check  linters and types
# make demo   the whole federation, five minutes  make test   unit and fast integration tests
# make jobs   configuration of jobs/ from its templates
# make bench  speed, memory and bytes beside peers     make privacy  what each privacy scope costs
# make test-faults  processes killed, network cut, disk full     make soak  100 rounds without growth
# make evidence-quick  one seed of three experiments, their differences (experiments/)
# make fuzz  damaged and hostile files and messages

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Several processes share the machine: one thread each.
export OMP_NUM_THREADS ?= 1
# Tests of one file, or of one running federation, stay together; the order is that of tests/conftest.py.
SIDE_BY_SIDE := -n 2 --dist loadgroup --no-loadscope-reorder

.PHONY: setup demo jobs test test-all test-faults soak bench privacy evidence-quick check clean constraints

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v < (3, 14) else f'flareseg needs Python 3.10 to 3.13, this is {v.major}.{v.minor}: make PYTHON=python3.11 setup')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable ".[dev]"
	touch $@

demo: setup
	$(BIN)/flareseg poc run jobs/fedgin-fedgs --workspace build/demo

jobs: setup
	$(BIN)/python -m flareseg.job.configuration jobs/*

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: setup
	$(BIN)/pytest -m "not slow" $(SIDE_BY_SIDE) --durations 20 --durations-min 10

test-all: setup
	$(BIN)/pytest

# Damaged and hostile files and messages, for ten minutes, each time others.
FUZZ_SECONDS ?= 600
fuzz: setup
	FLARESEG_FUZZ_SECONDS=$(FUZZ_SECONDS) FLARESEG_FUZZ_SEED=$$(date +%s) $(BIN)/pytest tests/fuzz

bench: setup
	$(BIN)/python -m benchmarks

privacy: setup
	$(BIN)/python -m benchmarks.privacy

# Results of its own: those of the checkout are of three seeds.
EVIDENCE := gin-limited gs-small joint
evidence-quick: setup
	for name in $(EVIDENCE); do $(BIN)/flareseg experiment run experiments/$$name.yaml --seeds 0 --results build/evidence-quick || exit; done
	for name in $(EVIDENCE); do $(BIN)/flareseg experiment report experiments/$$name.yaml --results build/evidence-quick; done

test-faults: setup
	PYTHONPATH=tests $(BIN)/python -m faults

soak: setup
	PYTHONPATH=tests $(BIN)/python -m faults.soak

clean:
	rm -rf build

# Needs uv. PyTorch stays where it is until its CPU build moves.
constraints:
	echo "torch==2.13.0" | uv pip compile --universal --python-version 3.10 --extra dev pyproject.toml \
		--no-annotate --no-header --constraint /dev/stdin --output-file constraints.txt
	sed -i '1i # Every version the project is tested with, for Python 3.10 to 3.13. Made by: make constraints' constraints.txt
