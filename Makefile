# The usual tasks. `make test` installs the servers that the tests run against.
.PHONY: demo test e2e lint supply msrv sbom fuzz docs bench hostile soak build

demo:
	cargo run --release --locked -- demo

test:
	scripts/install-test-tools
	cargo test --locked --no-fail-fast

# On a real KEDA, on demand; RUN="load-flat hang" does some of the runs, REPEAT=3 each three times: docs/benchmarks.md.
e2e:
	tests/e2e/run $(RUN)

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# Licences, sources, duplicates and use of dependencies; the SBOM is valid.
supply:
	scripts/check-supply

# Compiles with the oldest Rust that Cargo.toml promises.
msrv:
	scripts/check-msrv

# target/sbom/streamgauge.cdx.json: what a release built here consists of (CycloneDX).
sbom:
	scripts/sbom target/sbom/streamgauge.cdx.json

# Each parser of foreign input for FUZZ_SECONDS=60; TARGETS="redis_replies state_file" does some: docs/testing.md.
fuzz:
	scripts/fuzz $(TARGETS)

docs:
	cargo doc --locked --no-deps --open

bench:
	cargo bench --locked

# What hostile clients cost everybody else.
hostile:
	cargo bench --locked --bench hostile

# Half an hour of faults; SOAK_MINUTES=3 is the short form.
soak:
	cargo bench --locked --bench soak

build:
	cargo build --release --locked
