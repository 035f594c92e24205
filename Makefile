# make test     set up .venv from nothing and run the tests
# make check    lint, format, types, import contracts, then the tests
# make demo     set up .venv and run `fleetenv demo`: the whole story, on this machine, in disposable hosts
# make bench    measure fleetenv next to pyinfra, Ansible and mitogen; as root, about an hour: see benchmarks/README.md
# make lock     pin the newest versions of what pyproject.toml asks for, and of the peers that benchmarks compare with
# make clean    remove .venv and caches

RUN := .venv/bin/python -m

.PHONY: test check demo bench lock clean tools

test: .venv/ready tools
	$(RUN) pytest -n 3 --dist loadfile --no-loadscope-reorder

check: .venv/ready tools
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	.venv/bin/lint-imports
	$(RUN) pytest -n 3 --dist loadfile --no-loadscope-reorder

demo: .venv/ready
	.venv/bin/fleetenv demo

bench: .venv/ready tools
	$(RUN) benchmarks

lock: | .venv/bin/uv
	printf 'hatchling\neditables\n' | .venv/bin/uv pip compile pyproject.toml - --group dev --universal --python-version 3.11 \
		--generate-hashes --upgrade --quiet --custom-compile-command 'make lock' --output-file requirements-dev.lock
	.venv/bin/uv pip compile benchmarks/peers/requirements.in --universal --python-version 3.11 \
		--generate-hashes --upgrade --quiet --custom-compile-command 'make lock' --output-file benchmarks/peers/requirements.lock

clean:
	rm -rf .venv build/peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

tools:
	@scripts/setup tools

.venv/bin/uv:
	scripts/setup venv

.venv/ready: pyproject.toml requirements-dev.lock scripts/setup
	scripts/setup venv
