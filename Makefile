# `make demo` is the main job, `make test` everything that must hold; both make their own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Modules are compiled when first imported: to compile all of them would take longer than the demo.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
# Two test processes with two BLAS threads each are several times slower than with one.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: demo test lint prove bench bench-scale mutate faults dist course docs clean

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e ".[deep,dev]"
	# Examined by the tests as it is; it asks for packages that what is examined does not use.
	$(INSTALL) --no-deps pythae cloudpickle imageio tqdm
	touch $@

demo: $(STAMP)
	$(BIN)/linvae demo --output demo-output

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(STAMP) lint
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadgroup --ignore=tests/deep --ignore=tests/proofs --cov --cov-report=term
	# Measuring coverage would slow training and SymPy down, and there is little of linvae's code to measure.
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadgroup tests/deep tests/proofs

prove: $(STAMP)
	$(BIN)/python -m proofs

# About a quarter of an hour on two quiet cores; writes results/benchmark-*.json and pictures.
bench: $(STAMP)
	$(BIN)/python -m benchmarks.core
	$(BIN)/python -m benchmarks.import_cost
	$(BIN)/python -m benchmarks.curve_speed
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.against
	$(BIN)/python -m benchmarks.rd_evaluation
	$(BIN)/python -m benchmarks.against_pythae

# Ten million rows streamed, and 20 000 features; some minutes.
bench-scale: $(STAMP)
	$(BIN)/python -m benchmarks.scale

# Changes every operator and number of the mathematics, one at a time; about twenty minutes.
mutate: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m benchmarks.mutation

# 200 kills, full disks and every damaged byte of a checkpoint; some minutes.
faults: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m benchmarks.faults

# Wheel and sdist, installed into an empty environment and tried; the pins looked up.
dist: $(STAMP)
	$(BIN)/nox -s wheel-3.11 pins

# Opens the notebooks; JupyterLab is installed for this alone.
course: $(STAMP)
	$(INSTALL) -e ".[course]"
	$(BIN)/python -m notebooks.sync
	cd notebooks && ../$(BIN)/jupyter lab

# The site, with every notebook executed: docs/_build/html/index.html. A few minutes; once what it needs is
# installed, no network. Warnings are errors, and so are broken links, formulas and requests to other hosts.
docs: $(VENV)/.docs-installed
	rm -rf docs/_build/html
	$(ONE_THREAD) $(BIN)/python -m sphinx -b html -W --keep-going -n -q -E -j 2 docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html
	$(BIN)/python docs/check_formulas.py docs/_build/html

$(VENV)/.docs-installed: $(STAMP)
	$(INSTALL) -e ".[docs]"
	touch $@

clean:
	rm -rf docs/_build docs/api docs/course docs/proofs
	rm -rf $(VENV) build dist demo-output *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
