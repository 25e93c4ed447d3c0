# SPDX-License-Identifier: MIT
# Thin on purpose: Meson builds, scripts/ does the rest.
.PHONY: help build demo check check-threads check-mysql soak fuzz bench bench-scale format clean

help:
	@echo 'make build    install what is missing and build studyd, study-worker and study-xgboost'
	@echo 'make demo     run a real study on a private database: STORE=sqlite|mysql, DATA=winequality-red.csv, KEEP=1'
	@echo 'make check    build with gcc and clang, run all tests, with sanitizers too'
	@echo 'make check-threads  all that has threads under the thread sanitizer; check has a part of it'
	@echo 'make check-mysql   the tests of the store and of crashes on the MySQL of Oracle'
	@echo 'make soak     kill, freeze, cut and fill up everything for a long time; a table of what was lost (nothing) ends it'
	@echo 'make bench    measure against Optuna; the report goes to build/bench/'
	@echo 'make bench-scale   what a million trials cost: 20 minutes, 2 GiB in /tmp'
	@echo 'make fuzz     ten minutes of each fuzz target: SECONDS=600, TARGETS="json csv"'
	@echo 'make format   clang-format all C'
	@echo 'make clean    remove the builds'

STORE ?= sqlite
DATA ?=
SECONDS ?= 600
TARGETS ?=
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

check-threads:
	@scripts/install-packages
	@scripts/build build-tsan -Dbuildtype=debugoptimized -Db_sanitize=thread
	@STUDYD_BUILD=build-tsan /usr/bin/python3 -m pytest -q -k 'crash or trouble or daemon or standstill or http_requests'

check-mysql:
	@scripts/check-mysql

soak:
	@scripts/install-packages
	@scripts/make-peers optuna5 || true # without it, what needs it is skipped by name
	@scripts/build build
	@PYTHONPATH=tests /usr/bin/python3 -m soak

bench:
	@scripts/bench

bench-scale:
	@scripts/bench scale

fuzz:
	@scripts/install-packages build test
	@scripts/fuzz '$(SECONDS)' $(TARGETS)

format:
	@scripts/format

clean:
	rm -rf build build-asan build-clang build-fuzz build-mysql build-tsan
