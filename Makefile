# make help | setup | mini | test | lint | format | clean
VENV ?= .venv
PYTHON ?=
TORCH_SPEC ?= torch==2.13.0
FORCE ?=
TESTS ?= tests
PYTEST_ARGS ?=
export VENV PYTHON TORCH_SPEC FORCE

# Recipes set options and read settings through sourced files, which shellcheck
# cannot follow: not found (1091), seemingly unused (2034), seemingly unset (2154).
SHELLCHECK = shellcheck --exclude=SC1091,SC2034,SC2154
RUFF = "$(VENV)/bin/python" -m ruff

.PHONY: help setup mini test lint format clean

help:
	@echo 'make setup    build $(VENV) with everything in it (2 minutes, 2 GB; CUDA 6 GB)'
	@echo '              VENV=/some/env PYTHON=python3.12 TORCH_SPEC=torch==2.13.0 FORCE=1'
	@echo 'make mini     the mini recipe, stages 1 to 7, from nothing'
	@echo 'make test     the whole test suite (TESTS=tests/text PYTEST_ARGS="-k name")'
	@echo 'make lint     ruff and shellcheck; make format mends what ruff can'
	@echo 'make clean    caches and build output; data and experiments stay'

setup:
	@bash local/setup_env.sh

mini: setup
	@bin=$$(cd "$(VENV)/bin" && pwd) && cd egs2/mini_fa/tts1 \
	  && PATH="$$bin:$$PATH" ./run.sh --stage 1 --stop-stage 7

test: setup
	@PATH="$$(cd "$(VENV)/bin" && pwd):$$PATH" \
	  python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS) $(TESTS)

# Every checker runs, so that one report names all faults.
lint: setup
	@status=0; \
	$(RUFF) check . || status=1; \
	$(RUFF) format --check . || status=1; \
	find .ci local egs2 -type f \
	    ! -path '*/data/*' ! -path '*/dump/*' ! -path '*/exp/*' -print0 \
	  | xargs -0 grep -lE -m1 '^#!.*sh$$' | tr '\n' '\0' \
	  | PATH="$$(cd "$(VENV)/bin" && pwd):$$PATH" xargs -0 $(SHELLCHECK) \
	  && echo 'shellcheck: all scripts passed' || status=1; \
	exit $$status

format: setup
	@$(RUFF) check --fix .
	@$(RUFF) format .

clean:
	rm -rf .pytest_cache .ruff_cache build dist ./*.egg-info
	find espnet_vibevoice tests egs2 local -type d -name __pycache__ \
	  -prune -exec rm -rf {} +
