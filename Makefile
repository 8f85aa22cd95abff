# make demo   environment, a discovery on the embedded model, the dashboard
# make app    the dashboard on the shipped atlas, without discovering anything
# make test   environment, browser, checks and all tests
# make nightly  20,000 inputs that are not sound, put to every reader; the counts a reader
# make atlas  the shipped atlas again (what is there is not computed anew)
# make versions  the fast tests with the lowest and the highest versions that pyproject.toml allows

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FRESH := masks/fresh
PORT ?= 8501

.PHONY: demo app test lint fast slow browser nightly screenshots atlas versions clean

demo: $(VENV)/ready
	$(BIN)/python -m lsn_core discover --model demo --task mlm --languages en fr sw zh --seeds 0 1 \
	    --steps 30 --learning-rate 5e-4 --atlas $(FRESH)
	LSN_ATLAS=fresh $(BIN)/streamlit run app.py --server.port $(PORT)

app: $(VENV)/ready
	$(BIN)/streamlit run app.py --server.port $(PORT)

atlas: $(VENV)/ready
	$(BIN)/python -m lsn_core discover --model demo --task mlm --seeds 0 1 --steps 60 --learning-rate 5e-4 \
	    --method imp random --atlas masks/demo
	$(BIN)/python -m lsn_core transfer --atlas masks/demo --task mlm --sparsity 0.5
	$(BIN)/python -m lsn_core transfer --atlas masks/demo --task mlm --sparsity 0.5 --kind zero-shot
	$(BIN)/python -m lsn_core core --atlas masks/demo --task mlm --sparsity 0.5 --at-least 11 --score > /dev/null
	$(BIN)/python -m lsn_core retrieve --atlas masks/demo --data cldr

test: lint fast slow browser

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fast: $(VENV)/ready-dev
	$(BIN)/pytest -n 2 -m "not slow and not browser"

slow: $(VENV)/ready-dev
	$(BIN)/pytest -m "slow and not browser"

browser: $(VENV)/ready-dev
	.ci/browser
	$(BIN)/pytest -m browser

nightly: $(VENV)/ready-dev
	LSN_FUZZ_CASES=20000 $(BIN)/python -m tests.fuzz

screenshots: $(VENV)/ready-dev
	.ci/browser
	$(BIN)/python -m tests.browser.screenshots --out screenshots

versions:
	.ci/versions lowest
	.ci/versions highest

$(VENV)/ready: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/ready-dev: $(VENV)/ready requirements-dev.txt requirements-cluster.txt
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) .venv-lowest .venv-highest $(FRESH)
