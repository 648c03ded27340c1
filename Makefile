# `make demo` and `make test` set up all they need: .venv/, the packages, a Vulkan driver.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
PYTHON := $(VENV)/bin/python
PROMPT ?= a red apple
PICTURE ?= demo.png
ARGS ?=

# Mesa's software driver compiles a kernel that a test runs once for longer than it runs: it is
# quicker without optimisation and for four lanes at a time. Networks run often: there it is not.
QUICK_COMPILES := GALLIVM_PERF=$${GALLIVM_PERF:-nopt} LP_NATIVE_VECTOR_WIDTH=$${LP_NATIVE_VECTOR_WIDTH:-128}
PYTEST := $(PYTHON) -m pytest -n 2 --dist worksteal

TYPED := gpucore gpustd diffusion examples bench tools/setup tests/laws tests/setup
SETUP := pyproject.toml tools/setup/venv.sh tools/setup/apt.sh

# Some containers forbid compiled modules: each process of the tests would compile all of them again.
unexport PYTHONDONTWRITEBYTECODE

# Mesa keeps its sockets there and warns where the variable is unset.
ifndef XDG_RUNTIME_DIR
export XDG_RUNTIME_DIR := $(CURDIR)/$(VENV)/run
endif

# Some container hosts mount NVIDIA's driver where the Vulkan loader does not look.
NVIDIA_ICD := $(wildcard /usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json)
ifneq ($(NVIDIA_ICD),)
export VK_ADD_DRIVER_FILES ?= $(NVIDIA_ICD)
endif

.PHONY: help
help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

.PHONY: demo
demo: $(VENV)/.setup-run $(VENV)/.setup-vulkan ## set up, then draw PROMPT ("a red apple") to PICTURE (demo.png)
	@$(VENV)/bin/avila txt2img "$(PROMPT)" --output "$(PICTURE)"
	@echo "The picture is $(abspath $(PICTURE))"

.PHONY: serve
serve: $(VENV)/.setup-serve $(VENV)/.setup-vulkan ## set up, then serve on 127.0.0.1:7860 (ARGS="--port 8000")
	@$(VENV)/bin/avila serve $(ARGS)

.PHONY: test
test: $(VENV)/.setup-dev $(VENV)/.setup-vulkan $(VENV)/.setup-chromium $(VENV)/.setup-hip ## set up, then run the tests on one engine (ARGS="-k gemm" for some)
ifeq ($(strip $(ARGS)),)
	$(QUICK_COMPILES) $(PYTEST) --ignore=tests/diffusion
	$(PYTEST) tests/diffusion
else
	$(PYTEST) $(ARGS)
endif

.PHONY: test-engines
test-engines: ## what `make test` runs, on every engine
	AVILA_TEST_ENGINES=all AVILA_TEST_USUAL=1 $(MAKE) test

# What `make test` has run before is left out.
EVERY_ENGINE := AVILA_TEST_ENGINES=all AVILA_TEST_REST=1

.PHONY: test-all
test-all: test ## the tests on every engine, with slow ones and all cases
	$(EVERY_ENGINE) $(QUICK_COMPILES) $(PYTEST) --ignore=tests/diffusion
	$(EVERY_ENGINE) $(PYTEST) tests/diffusion

.PHONY: lint
lint: $(VENV)/.setup-dev ## check format and style
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

.PHONY: types
types: $(VENV)/.setup-dev ## check the types
	$(PYTHON) -m mypy --num-workers 2 --strict $(TYPED)

.PHONY: check
check: lint types test ## everything: format, style, types, tests

.PHONY: format
format: $(VENV)/.setup-dev ## format and mend the style
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

.PHONY: docs
docs: $(VENV)/.setup-docs ## build the documentation to build/docs
	$(PYTHON) -m sphinx -q -W --keep-going -b html docs build/docs
	@echo "The documentation is $(abspath build/docs/index.html)"

.PHONY: doctor
doctor: $(VENV)/.setup-run ## what this machine offers, and what it lacks (avila doctor)
	@$(VENV)/bin/avila doctor || [ $$? -eq 1 ]

.PHONY: clean
clean: ## remove .venv, caches and build results
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment serves all targets: each set of extras adds to it.
$(VENV)/.setup-run: $(SETUP)
	@tools/setup/venv.sh $(VENV) .
	@touch $@

$(VENV)/.setup-serve: $(SETUP)
	@tools/setup/venv.sh $(VENV) '.[server]'
	@touch $(VENV)/.setup-run $@

# A folder of its own: it pins old versions of what its reader of pictures does without.
SD_PROMPT_READER := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	--target $(VENV)/sd-prompt-reader sd-prompt-reader==1.3.5

$(VENV)/.setup-dev: $(SETUP)
	@tools/setup/venv.sh $(VENV) '.[dev]'
	@$(SD_PROMPT_READER)
	@touch $(VENV)/.setup-run $(VENV)/.setup-serve $@

$(VENV)/.setup-docs: $(SETUP)
	@tools/setup/venv.sh $(VENV) '.[docs]'
	@touch $(VENV)/.setup-run $@

$(VENV)/.setup-vulkan: tools/setup/vulkan.sh tools/setup/adapters.py | $(VENV)/.setup-run
	@mkdir -p -m 700 "$$XDG_RUNTIME_DIR"
	@tools/setup/vulkan.sh $(PYTHON)
	@touch $@

$(VENV)/.setup-chromium: tools/setup/chromium.sh | $(VENV)/.setup-run
	@tools/setup/chromium.sh
	@touch $@

$(VENV)/.setup-hip: tools/setup/hip.sh | $(VENV)/.setup-run
	@tools/setup/hip.sh
	@touch $@
