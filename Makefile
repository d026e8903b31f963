# The project's commands. Each does all set-up that it needs on a bare Debian 12, and nothing when that is done.
#   make demo      builds, then runs a CUDA program through the mediator
#   make test      all tests; the last line is `N passed, N failed`
#   make test-all  the same with the whole program matrix
#   make build     programs into build/release/bin, guest libraries into build/release/lib/vgpu
#   make bench     speed as ratios to floors measured in the same run; writes build/bench.json
#   make install PREFIX=/opt/vgpu
#   make gpu-bundle  one folder for a machine that has just an NVIDIA driver: build/gpu-bundle/run
#   make setup, make clean
SHELL := /bin/bash
PREFIX ?= /usr/local
XDG_CACHE_HOME ?= $(HOME)/.cache
export VGPU_CACHE ?= $(XDG_CACHE_HOME)/vgpu
export CCACHE_DIR ?= $(VGPU_CACHE)/ccache
export CCACHE_MAXSIZE ?= 5G
# The same sources in another folder are the same sources.
export CCACHE_BASEDIR ?= $(CURDIR)
export CCACHE_NOHASHDIR ?= 1

.PHONY: build setup demo test test-all bench install gpu-bundle clean configure
.DEFAULT_GOAL := build

setup:
	@tools/setup/debian.sh </dev/null
	@tools/setup/cuda.sh </dev/null

configure: setup
	@[ -f build/release/build.ninja ] || cmake --preset release --log-level=WARNING

build: configure
	@ninja -C build/release product

demo: configure
	@ninja -C build/release --quiet product demo_program
	@tools/demo

test: setup
	@tools/run_stages

test-all: setup
	@tools/run_stages --all

bench: configure
	@ninja -C build/release --quiet product benchmarks
	@tools/bench

install: build
	@cmake --install build/release --prefix $(PREFIX) >/dev/null
	@echo "installed in $(PREFIX)"

gpu-bundle: configure
	@ninja -C build/release --quiet all benchmarks
	@tools/gpu_bundle/make

clean:
	rm -rf build
