# marginquake: `make demo` needs Python 3.11 or newer, pip and make; everything else lives in a virtual environment.
PYTHON ?= python3
PYTHON312 ?= python3.12
VENV ?= .venv
PY := $(VENV)/bin/python
CLI := $(VENV)/bin/marginquake
# --no-compile: modules are byte-compiled when first imported, which halves the time of installation.
PIP_INSTALL := $(PY) -m pip install -qq --no-compile --disable-pip-version-check
# Where the environment forbids bytecode, every process would compile every module of every library anew: 4 s each.
unexport PYTHONDONTWRITEBYTECODE
STAMP_RUN := $(VENV)/.stamp-run
STAMP_DEV := $(VENV)/.stamp-dev
PYTEST_WORKERS ?= 3

.PHONY: help demo test test-312 validate soak bench lint format clean

help:
	@echo "make demo      run scenarios/long_squeeze.yaml and write its report"
	@echo "make test      format, lint, types, import rules, tests (what CI runs)"
	@echo "               MARGINQUAKE_THOROUGH=10 draws ten times as many streams and seeds, and longer ones"
	@echo "make test-312  the same on Python 3.12 (PYTHON312=/path/to/python3.12)"
	@echo "make validate  seeded studies; writes docs/validation.md"
	@echo "make soak      random scenarios, streams, kills, faults for HOURS=1 from seed SEED=1; whatever is found is reproduced by one line"
	@echo "make bench     every benchmark; writes the tables of docs/performance.md (BENCH='book pams' runs some)"
	@echo "make lint      format and lint only;  make format  mend formatting"
	@echo "make clean     remove environments and caches (runs/ stays)"

# A stamp is older than pyproject.toml exactly when something has to be installed again.
$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) or sys.version_info[:2] > (3, 13))' || { \
	  echo "marginquake needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one:  make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Could not create $(VENV). On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(STAMP_RUN): pyproject.toml | $(PY)
	@echo "Installing marginquake into $(VENV) ..."
	@$(PIP_INSTALL) --editable .
	@touch $@

$(STAMP_DEV): pyproject.toml | $(PY)
	@echo "Installing marginquake and its development tools into $(VENV) ..."
	@$(PIP_INSTALL) --editable '.[dev]'
	@touch $@ $(STAMP_RUN)

demo: $(STAMP_RUN)
	@$(CLI) run scenarios/long_squeeze.yaml

# Kernels are compiled once, before tests run side by side, and meanwhile types are checked.
test: lint
	@echo "Compiling kernels while types and imports are checked ..."
	@$(CLI) run tests/scenarios/tiny.yaml --quiet --no-figures --out $(VENV)/warm-up >/dev/null & compiling=$$!; \
	  (set -x; $(PY) -m mypy && $(VENV)/bin/lint-imports); checked=$$?; wait $$compiling && exit $$checked
	$(PY) -m pytest -n $(PYTEST_WORKERS) --dist worksteal --quiet --durations=25

lint: $(STAMP_DEV)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

format: $(STAMP_DEV)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

test-312:
	$(MAKE) test PYTHON=$(PYTHON312) VENV=.venv312

validate: $(STAMP_RUN)
	@$(PIP_INSTALL) --editable '.[facts]'
	$(PY) -m benchmarks.validate

HOURS ?= 1
SEED ?= 1
soak: $(STAMP_DEV)
	$(PY) -m tests.soak --hours $(HOURS) --first-seed $(SEED)

bench: $(STAMP_RUN)
	@$(PY) -m benchmarks.bench $(BENCH)

clean:
	rm -rf .venv .venv312 build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
