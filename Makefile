# kamari's three commands: `make demo`, `make test`, `make bench`. `make help` lists the rest.
# Everything a target needs and that Debian, cargo or the lab's own recipe can give is installed by `make tools` and `make lab`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
LAB := tests/lab/lab

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: tools lab ## Real Kamailio, three real Asterisk nodes, kamari and calls; a node added, a node killed (CI=1: ends by itself)
	$(CARGO) build --bin kamari
	$(CARGO) test --test demo -- --show

.PHONY: test
test: tools lint lab ## Everything that CI checks
	$(CARGO) test
	$(CARGO) test --release --test selection --test setup
	$(MAKE) loom

.PHONY: loom
loom: tools ## The lock-free parts of the choice, in every order in which threads may run
	RUSTFLAGS="--cfg loom" $(CARGO) test --quiet --release --manifest-path tests/loom/Cargo.toml --target-dir $${CARGO_TARGET_DIR:-target}/loom

# In this order; `benches/rows/mod.rs` says how one is added.
BENCHES := choose lookup busy events path setup slow_node

.PHONY: bench
bench: tools lab ## Speed, as ratios measured side by side in one run: one table, and docs/performance.md
	$(CARGO) bench --no-run --benches
	rm -rf $${CARGO_TARGET_DIR:-target}/bench
	ulimit -n "$$(ulimit -Hn)"; broken=; for bench in $(BENCHES); do \
		echo "== $$bench"; $(CARGO) bench --quiet --bench $$bench || broken="$$broken $$bench"; \
	done; \
	$(CARGO) bench --quiet --bench report; \
	if [ -n "$$broken" ]; then echo "could not measure:$$broken" >&2; exit 1; fi

.PHONY: lint
lint: tools ## Formatting, clippy, dependencies
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) deny --log-level error check bans licenses sources

.PHONY: audit
audit: tools ## Known advisories against the dependencies (fetches the RustSec database)
	$(CARGO) deny check advisories

.PHONY: lab
lab: ## The lab's root file systems, built once and kept in a cache outside the checkout
	$(LAB) root

.PHONY: tools
tools: ## What the other targets need from Debian and from cargo
	tests/tools

.PHONY: selection
selection: ## Rules of choosing compared: the tables of docs/selection.md and selection-results.md, and their plots
	$(CARGO) run --release -- simulate document --into docs

.PHONY: docs
docs: ## Regenerate the tables and documents that are made from the code
	KAMARI_BLESS=1 $(CARGO) test --test docs
