# The usual tasks. `make test` installs the servers that the tests run against.
.PHONY: demo test lint docs bench build

demo:
	cargo run --release --locked -- demo

test:
	scripts/install-test-tools
	cargo test --locked

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

docs:
	cargo doc --locked --no-deps --open

bench:
	cargo bench --locked

build:
	cargo build --release --locked
