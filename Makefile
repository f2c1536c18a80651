# Two commands: `make demo` and `make test`. Both set up what they need in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST := $(VENV)-oldest
N_USERS ?= 50000
SEED ?= 42

.PHONY: demo test test-slow test-engines test-oldest lint format notebooks clean

demo: $(VENV)/.runtime
	$(BIN)/noholdout generate --n-users $(N_USERS) --seed $(SEED) --out data/
	$(BIN)/noholdout demo all --data data/ --out out/
	$(BIN)/noholdout compare --data data/ --plot out/compare.png

test: $(VENV)/.dev lint
	$(BIN)/python -m pytest -n 2 -m "not slow" --durations 10

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m timed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not timed" --durations 10

test-engines: $(VENV)/.engines
	NOHOLDOUT_ENGINES=required $(BIN)/python -m pytest -m engines

# The fast tests on the oldest versions that requirements.txt allows. The READMEs show the digits of
# today's versions: trees of other versions differ in the third.
test-oldest: $(OLDEST)/.ready
	$(OLDEST)/bin/python -m pytest -n 2 -m "not slow" -k "not shown_output" --durations 10

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

notebooks: $(VENV)/.dev
	$(BIN)/python tests/build_notebooks.py

clean:
	rm -rf $(VENV) $(OLDEST) data out dist build .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.created:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.runtime: $(VENV)/.created requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

$(VENV)/.engines: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet -e ".[dev,engines,spark]"
	touch $@

$(OLDEST)/.ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	sed -n 's/>=\([0-9.]*\).*/==\1/p' requirements.txt > $(OLDEST)/oldest.txt
	$(OLDEST)/bin/python -m pip install --quiet -c $(OLDEST)/oldest.txt -e ".[dev]"
	touch $@
