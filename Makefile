# Each verb is one line that calls one thing. Research use only, not a medical device.
PYTHON ?= python3
# What the set-up leaves out: --tracking-only, --without-ros
SETUP ?=

.PHONY: setup demo test lint bench evaluate

setup:
	@$(PYTHON) embedded/setup_environment.py $(SETUP)

demo: setup
	@.venv/bin/lodestone demo

test: setup
	@.venv/bin/python embedded/run_tests.py

lint: setup
	@.venv/bin/python embedded/run_tests.py --only lint

bench: setup
	@.venv/bin/lodestone bench

evaluate: setup
	@.venv/bin/lodestone evaluate evaluation/protocols/$(P).yaml --out out/evaluate/$(P)
