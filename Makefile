# Two commands for a fresh machine with Python 3.11-3.13, pip and make:
#   make reproduce   environment, every study, figures, report, verification
#   make test        environment, lint, types, architecture, tests
#
# make reproduce WHEELHOUSE=dir installs from a folder made by `make wheelhouse`, without a network.

PYTHON     ?= python3
VENV       ?= .venv
WHEELHOUSE ?=
OUT        ?= reproduced
PYTEST_ARGS ?=
UV_VERSION := 0.13.9

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --require-hashes --no-compile

# With a wheelhouse pip looks there and nowhere else, for build environments too.
ifneq ($(WHEELHOUSE),)
export PIP_NO_INDEX := 1
export PIP_FIND_LINKS := $(abspath $(WHEELHOUSE))
endif

.PHONY: help reproduce test test-all lint types architecture bench lock wheelhouse notebooks clean python-found

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -6
	@echo "also: make test-all (slow simulations too), bench, lock, wheelhouse, notebooks, clean"

# --- environment: one stamp per lock ------------------------------------------------------------
python-found:
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON). Install it: apt install python3 python3-venv (Debian), brew install python@3.13 (macOS)"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "Python 3.11-3.13 is needed, found %d.%d: make PYTHON=python3.13 ..." % v)'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "missing: Python's venv module. Install it: apt install python3-venv"; exit 1; }

$(VENV)/.bootstrap: locks/bootstrap.txt | python-found
	@echo "[1/3] environment: virtual environment and build tools"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) -r locks/bootstrap.txt
	@touch $@

$(VENV)/.reproduce: locks/reproduce.txt $(VENV)/.bootstrap pyproject.toml
	@echo "[2/3] environment: packages that the studies need (a minute or two)"
	@$(INSTALL) -r locks/reproduce.txt
	@$(PIP) install --quiet -e . --no-build-isolation --no-deps --no-index
	@touch $@

$(VENV)/.test: locks/test.txt $(VENV)/.reproduce
	@echo "[3/3] environment: packages that the tests need"
	@$(INSTALL) -r locks/test.txt
	@touch $@

# --- the main job -------------------------------------------------------------------------------
reproduce: $(VENV)/.reproduce
	@$(BIN)/fiac verify --all --rerun --out $(OUT)

# --- checks -------------------------------------------------------------------------------------
test: lint types architecture
	@echo "tests"
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -q $(PYTEST_ARGS)

test-all: lint types architecture
	@echo "tests, the slow simulations too"
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -q -m "slow or not slow" \
	  --hypothesis-profile=thorough $(PYTEST_ARGS)

lint: $(VENV)/.test
	@echo "lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.test
	@echo "types"
	@$(BIN)/mypy

architecture: $(VENV)/.test
	@echo "architecture"
	@$(BIN)/lint-imports --no-cache | tail -n 12

bench: $(VENV)/.test
	@$(BIN)/python -m benchmarks

notebooks: $(VENV)/.test
	@$(BIN)/jupytext --to ipynb --execute notebooks/*.py

# --- locks and wheels ---------------------------------------------------------------------------
COMPILE := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
           --generate-hashes --no-annotate --no-header

lock: | python-found
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv==$(UV_VERSION); }
	@$(COMPILE) $(if $(UPGRADE),--upgrade,) locks/bootstrap.in -o locks/bootstrap.txt
	@$(COMPILE) $(if $(UPGRADE),--upgrade,) --extra dev pyproject.toml -c locks/bootstrap.txt -o locks/test.txt
	@$(COMPILE) $(if $(UPGRADE),--upgrade,) --extra notebooks --extra linkage pyproject.toml -c locks/test.txt -o locks/reproduce.txt
	@wc -l locks/*.txt

wheelhouse: $(VENV)/.bootstrap
	@mkdir -p wheelhouse
	@for lock in bootstrap reproduce test; do \
	   echo "wheels of locks/$$lock.txt"; \
	   $(PIP) download --quiet --require-hashes --no-build-isolation -d wheelhouse -r locks/$$lock.txt || exit 1; done
	@echo "wheelhouse/ is complete; on the secure site: make reproduce WHEELHOUSE=wheelhouse"

clean:
	rm -rf $(VENV) .venv-lock reproduced build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
