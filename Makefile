# make lab     JupyterLab with the first lesson, in a separate environment (.venv)
# make check   for every commit, in at most three minutes: lint, and the quickest tests that tell most
# make test    all checks: lint, unit, notebooks, docs, browser (each is a target too)
# make docs    the documentation in build/docs/index.html; warnings are errors
# make binder  the first lesson in an environment built like on Binder, in a real browser; takes minutes, mostly pip
# make release the wheel and the sdist in dist/, checked, installed in a new environment and tried there
# make oldest  the unit tests with the oldest versions that pyproject.toml allows, in an environment of their own
# make bench   benchmarks against other packages, some minutes on an idle machine; ARGS=--quick for a trial run
# make clean   removes the environment and the files of builds and tests
#
# PYTHON=python3.12              the Python of the environment
# TENSORFLOW=tensorflow-cpu      the TensorFlow to install; an installed one is kept

.DEFAULT_GOAL := lab

# Where it is set, each of the hundred processes that tests start would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.NOTPARALLEL:
.PHONY: lab check test lint unit notebooks docs browser binder release oldest bench clean chromium

# Those that TensorFlow has a release for, as requires-python in pyproject.toml.
SUITABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# The first Python that starts and is suitable; some names on the PATH do not start.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(SUITABLE)' 2>/dev/null && { echo $$p; break; }; done)
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

# Of each room the tests that are quick and break first.
CHECK := tests/test_*.py tests/typed tests/jobs tests/pictures tests/model/test_layers.py tests/model/test_recording.py \
	tests/model/test_untouched_model.py tests/visualize/test_objectives.py tests/visualize/test_units.py \
	tests/explain/test_targets.py tests/explain/test_against_formulas.py tests/activations/test_convolution.py \
	tests/panels/test_run.py tests/panels/test_parts.py tests/provenance/test_verbs.py tests/trust/test_bad_values.py

check: lint
	$(BIN)/python -m pytest -m 'not (browser or notebook)' --numprocesses 2 --dist worksteal --quiet $(CHECK)

test: lint unit notebooks docs browser

lint: $(IN_TEST)
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: $(IN_TEST)
	$(BIN)/python -m pytest -m 'not (browser or notebook)' --numprocesses 2 --dist worksteal

notebooks: $(IN_TEST)
	$(BIN)/python -m pytest -m notebook --numprocesses 2 --dist worksteal \
		tests/test_notebooks.py tests/test_guides.py tests/test_docstring_examples.py

docs: $(IN_DOCS)
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs build/docs

browser: $(IN_TEST) chromium
	$(BIN)/python -m pytest -m 'browser and not binder' tests/browser

binder: $(IN_TEST) chromium
	$(BIN)/python -m pytest -m binder tests/browser

release: $(IN_TEST)
	rm -rf dist .venv/clean
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv .venv/clean
	.venv/clean/bin/python -m pip install --quiet dist/*.whl
	cd .venv/clean && bin/python ../../scripts/try_release.py

# uv resolves to the lowest version of each direct dependency.
oldest:
	$(PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet uv
	sed 's/"tensorflow>/"$(firstword $(subst [, ,$(TENSORFLOW)))>/' pyproject.toml > .venv-oldest/pyproject.toml
	.venv-oldest/bin/uv pip compile --quiet --resolution lowest-direct --python .venv-oldest/bin/python \
		--extra lab --extra atlas --extra concepts .venv-oldest/pyproject.toml --output-file .venv-oldest/oldest.txt
	.venv-oldest/bin/uv pip install --quiet --python .venv-oldest/bin/python --requirement .venv-oldest/oldest.txt \
		pytest pytest-xdist psutil nbclient nbformat playwright
	.venv-oldest/bin/python -m pytest -m 'not (browser or notebook)' --numprocesses 2 --dist worksteal \
		--ignore tests/test_release.py --ignore tests/test_binder.py --ignore tests/typed $(ARGS)

bench: $(IN_TEST)
	@$(BIN)/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf .venv .venv-oldest .bench build dist docs/lessons .mypy_cache .pytest_cache .ruff_cache
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
	@'$(or $(PYTHON),false)' -c '$(SUITABLE)' 2>/dev/null || { \
		echo 'No Python 3.11, 3.12 or 3.13 with venv was found$(if $(PYTHON), as "$(PYTHON)"); TensorFlow has no release for others.'; \
		echo 'Install Python 3.13 (Debian: apt-get install python3 python3-venv; any system: uv python install 3.13),'; \
		echo 'or name one: make PYTHON=/path/to/python3.13'; exit 1; } >&2
	$(PYTHON) -m venv .venv

# The browser tests use Debian's Chromium, or the one in CHROMIUM.
chromium:
	@{ [ -n "$$CHROMIUM" ] || command -v chromium || command -v chromium-browser || command -v google-chrome || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; }; } > /dev/null || { \
		echo 'The browser tests need Chromium: apt-get install chromium, or set CHROMIUM to its path.' >&2; exit 1; }
