# Every target sets up what it needs by itself: scripts/setup is quick when there is nothing to do.
# Variables given on the command line (JSON=1, ORDERS=folder, SEED=7, ...) reach the program as environment.

PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench kill-test simulate crash-matrix chaos chaos-cluster soak planted check-long

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: Python environment, RabbitMQ, Redis, pyright
	@scripts/setup

demo: setup ## run orders through five services (SEED, COUNT, DECLINE, REFUSE, LATENCY, ORDERS, RATE, ONE_AT_A_TIME, DATA, EMPTY, JSON)
	@$(PYTHON) -m services.demo

test: setup ## run all checks and all tests; nothing may be skipped
	@$(PYTHON) -m tests.run

check: setup ## check format, lint, types, layers and the choreography of the services
	@$(PYTHON) -m tests.check

bench: setup ## measure a five-step chain beside a plain aio-pika chain (JSON=1)
	@$(PYTHON) -m benchmarks

simulate: setup ## play worlds from seeds in virtual time (FROM, SEEDS; SEED tells one, UNTIL cuts it short; RECORD)
	@$(PYTHON) -m tests.simulation.world

kill-test: setup ## push 830 orders through five processes that are killed all the time (SEED, DECLINE, REFUSE, SERVERS=1 kills RabbitMQ and Redis too, JSON=1)
	@$(PYTHON) -m tests.chaos.kill_test

crash-matrix: setup ## kill a process at every point of the protocol, in every part it plays; prints the hits
	@$(PYTHON) -m tests.crash

chaos: setup ## faults at random on real servers, then the judgement (MINUTES=3, SEED, RATE, WORKERS, MODE=storm|rewind|flush, JSON=1)
	@$(PYTHON) -m tests.chaos.storm

chaos-cluster: setup ## a three-node RabbitMQ that loses nodes and is partitioned; Redis Sentinel and Cluster (JSON=1)
	@$(PYTHON) -m tests.cluster

soak: setup ## 250 steps a second without faults: nothing may grow (MINUTES=30, JSON=1)
	@$(PYTHON) -m tests.soak

planted: setup ## plant bugs, one after the other: which tier catches which (BUG=name, STORM=1)
	@$(PYTHON) -m tests.planted

check-long: ## all tests, the crash matrix, three minutes of chaos, the planted bugs
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory crash-matrix
	@$(MAKE) --no-print-directory chaos MINUTES=3
	@$(MAKE) --no-print-directory planted
