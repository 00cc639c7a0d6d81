# What a person asks of this repository. Each target installs what it needs and can be run twice.
MAKEFLAGS += --no-print-directory
# `make up PACS=1`, `make demo PACS=1`: Orthanc too, for what a PACS sends (docs/pacs.md).
ifdef PACS
export CODETECT_PACS := $(PACS)
endif
# `make up HOST=ct.example.org TLS=self` (or `TLS=files`): for other machines too, over TLS (docs/deployment.md).
ifdef HOST
export CODETECT_HOST := $(HOST)
endif
ifdef TLS
export CODETECT_TLS := $(TLS)
endif
LOCAL := .venv/bin/python -m codetect_local

.DEFAULT_GOAL := help
.PHONY: help install demo test up down reset lint web bench path train images k8s

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install:
	@scripts/install

demo: install web ## start everything, open a demo facility, analyse the sample CT, say where to log in
	@$(LOCAL) demo

test: install web ## the whole test suite, on servers of its own
	@scripts/web test
	.venv/bin/pytest

up: install web ## start the stack on this machine, wait until it is ready, say what is where
	@$(LOCAL) up

down: install ## stop what `up` or `demo` started, and nothing else
	@$(LOCAL) down

reset: install ## the same, and erase the data
	@$(LOCAL) reset

lint: install ## format, style, types, walls between the packages
	@scripts/lint

web: install ## build the web app
	@scripts/web

bench: install ## measure the speeds that docs/performance.md tells
	@scripts/bench

path: install ## the lines of ours that one submit runs
	@scripts/path

train: ## train the model again, in its own environment
	@scripts/train

images: ## container images of the services (needs Docker)
	@scripts/images

k8s: install ## render and validate the Kubernetes manifests
	@scripts/k8s
