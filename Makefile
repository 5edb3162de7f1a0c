# make lab     JupyterLab with the first lesson, in a separate environment (.venv)
# make test    all checks: lint, unit, notebooks, docs, browser (each is a target too)
# make docs    the documentation in build/docs/index.html; warnings are errors
# make binder  the first lesson in an environment built like on Binder, in a real browser; takes minutes, mostly pip
# make bench   benchmarks against other packages, some minutes on an idle machine; ARGS=--quick for a trial run
# make clean   removes the environment and the files of builds and tests
#
# PYTHON=python3.12              the Python of the environment
# TENSORFLOW=tensorflow-cpu      the TensorFlow to install; an installed one is kept

.DEFAULT_GOAL := lab
.NOTPARALLEL:
.PHONY: lab test lint unit notebooks docs browser binder bench clean chromium

NEW_ENOUGH := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))

# The first Python that starts and is new enough; some names on the PATH do not start.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$p; break; }; done)
endif

# With an NVIDIA card: CUDA too. On Linux x86_64 without one: the CPU build, half the download. Else: the default one.
ifndef TENSORFLOW
TENSORFLOW := $(shell if nvidia-smi -L 2>/dev/null | grep -q GPU; then echo 'tensorflow[and-cuda]'; \
	elif [ "$$(uname -sm)" = 'Linux x86_64' ]; then echo tensorflow-cpu; else echo tensorflow; fi)
endif

BIN := .venv/bin
FIRST_LESSON := notebooks/01-first-light.ipynb
IN_LAB := .venv/made-for-lab
IN_TEST := .venv/made-for-test
IN_DOCS := .venv/made-for-docs

lab: $(IN_LAB)
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/$(FIRST_LESSON)

test: lint unit notebooks docs browser

lint: $(IN_TEST)
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: $(IN_TEST)
	$(BIN)/python -m pytest -m 'not (browser or notebook)' --numprocesses 2 --dist worksteal

notebooks: $(IN_TEST)
	$(BIN)/python -m pytest -m notebook tests/test_notebooks.py tests/test_guides.py

docs: $(IN_DOCS)
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs build/docs

browser: $(IN_TEST) chromium
	$(BIN)/python -m pytest -m 'browser and not binder' tests/browser

binder: $(IN_TEST) chromium
	$(BIN)/python -m pytest -m binder tests/browser

bench: $(IN_TEST)
	@$(BIN)/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf .venv .bench build dist docs/lessons .mypy_cache .pytest_cache .ruff_cache
	find cnnwidgets scripts tests -name __pycache__ -prune -exec rm -rf {} +

# The environment: made once, updated when its sources change. The stamp files record what was installed.
$(IN_LAB): EXTRAS := lab atlas concepts
$(IN_TEST): EXTRAS := lab test atlas concepts
$(IN_DOCS): EXTRAS := lab docs atlas concepts

.venv/made-for-%: pyproject.toml scripts/requirements.py | $(BIN)/python
	$(BIN)/python scripts/requirements.py --tensorflow '$(TENSORFLOW)' $(EXTRAS) > .venv/requirements.txt
	$(BIN)/python -m pip install --quiet -r .venv/requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(BIN)/python:
	@'$(or $(PYTHON),false)' -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo 'No Python >= 3.11 with venv was found$(if $(PYTHON), as "$(PYTHON)"). Install one'; \
		echo '(Debian: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12'; exit 1; } >&2
	$(PYTHON) -m venv .venv

# The browser tests use Debian's Chromium, or the one in CHROMIUM.
chromium:
	@{ [ -n "$$CHROMIUM" ] || command -v chromium || command -v chromium-browser || command -v google-chrome || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; }; } > /dev/null || { \
		echo 'The browser tests need Chromium: apt-get install chromium, or set CHROMIUM to its path.' >&2; exit 1; }
