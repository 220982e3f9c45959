# The two commands that matter: `make report` and `make test`. Both start from Rust, a C compiler and make.

CARGO ?= cargo
# One optimised build serves the report and the tests: polars is compiled once.
RELEASE := --release --locked

.PHONY: help setup build report test kernel-test bench captures clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install what the build needs and the system lacks (libpcap's headers)
	@sh scripts/setup.sh

build: setup ## the optimised program: target/release/finwait
	$(CARGO) build $(RELEASE)

report: build ## analyse the bundled captures into reports/demo/ and print the summary
	$(CARGO) run $(RELEASE) --quiet -- report captures/*.pcap* -o reports/demo
	@echo "look at reports/demo/index.html; what each capture shows: captures/README.md"

# The core alone is built unoptimised, so that arithmetic is checked for overflow, and without polars, so that it is quick.
test: setup ## formatting, lints and every test
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(RELEASE) --no-default-features --all-targets -- -D warnings
	$(CARGO) clippy $(RELEASE) --all-targets -- -D warnings
	$(CARGO) clippy $(RELEASE) --package finwait-benches --all-targets -- -D warnings
	$(CARGO) test --locked --no-default-features
	$(CARGO) test $(RELEASE)
	$(CARGO) package --locked --allow-dirty --no-verify --list >/dev/null

kernel-test: setup ## what finwait tells against what real kernels did, at three taps, in network namespaces (needs root)
	python3 tests/kernel/run.py

bench: setup ## what finwait costs against the least that any analysis costs; BENCH="--packets 10_000_000 --keep" for options (needs python3)
	@command -v python3 >/dev/null || { echo "make bench: python3 is not installed" >&2; exit 1; }
	CARGO=$(CARGO) python3 benches/run.py $(BENCH)

captures: setup ## make the bundled captures again, with real kernels in network namespaces (needs root)
	python3 captures/make/make.py

clean: ## throw away what was built and reported; the captures and the sample report stay
	$(CARGO) clean
	rm -rf reports/demo
