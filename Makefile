# SPDX-License-Identifier: MIT
# Thin on purpose: Meson builds, scripts/ does the rest.
.PHONY: help build demo check soak bench format clean

help:
	@echo 'make build    install what is missing and build studyd, study-worker and study-xgboost'
	@echo 'make demo     run a real study on a private database: STORE=sqlite|mysql, DATA=winequality-red.csv, KEEP=1'
	@echo 'make check    build with gcc and clang, run all tests, with sanitizers too'
	@echo 'make soak     kill, freeze, cut and fill up everything for a long time; a table of what was lost (nothing) ends it'
	@echo 'make bench    measure against Optuna; the report goes to build/bench/'
	@echo 'make format   clang-format all C'
	@echo 'make clean    remove the builds'

STORE ?= sqlite
DATA ?=
export KEEP ?=

build:
	@scripts/install-packages build run
	@scripts/build build

demo:
	@scripts/install-packages build run $(if $(filter mysql,$(STORE)),mariadb)
	@scripts/build build
	@scripts/demo '$(STORE)' '$(DATA)'

check:
	@scripts/check

soak:
	@scripts/install-packages
	@scripts/make-peers optuna5 || true # without it, what needs it is skipped by name
	@scripts/build build
	@PYTHONPATH=tests /usr/bin/python3 -m soak

bench:
	@scripts/bench

format:
	@scripts/format

clean:
	rm -rf build build-asan build-clang
