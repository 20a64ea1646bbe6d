# The front door of development: `just` lists all recipes. Without just, `tools/install` prints a folder that has it.
#
# A crate is named by its package (voicemail-store), by the word behind the dash (store), or by a folder
# (core is all of voicemail-core, operator, tests).

set shell := ["bash", "-euo", "pipefail", "-c"]

# Lists the recipes.
default:
    @just --list --unsorted

# Formatting and clippy of everything, then each crate by itself: beside others it finds features it doesn't ask for.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    packages=$(tools/packages); for package in $packages; do cargo check -p "$package"; done

# `just test` is everything; `just test core --lib` a crate or folder; `just test end_to_end NAME` a suite below tests.
test what="" *arguments:
    #!/usr/bin/env bash
    set -euo pipefail
    if [ -z "{{ what }}" ]; then exec cargo test --workspace; fi
    for folder in tests tests/cluster tests/machine tests/stores; do
      if [ -e "$folder/tests/{{ what }}.rs" ] || [ -e "$folder/tests/{{ what }}/main.rs" ]; then
        exec cargo test --manifest-path "$folder/Cargo.toml" --test "{{ what }}" {{ arguments }}
      fi
    done
    found=$(tools/packages "{{ what }}")
    packages=()
    for package in $found; do packages+=(-p "$package"); done
    exec cargo test "${packages[@]}" {{ arguments }}

# The whole story on a real Kubernetes; `just demo --context NAME` on a cluster that you have.
demo *arguments:
    cargo demo {{ arguments }}

# The local Kubernetes: up, down, status, kubectl …, helm …
cluster *arguments:
    cargo cluster {{ arguments }}

# Writes the CRDs (plain and in the chart) and their reference docs/crds.md from the operator's types.
crds:
    cargo crds

# Writes every generated file: CRDs, the API's description, the plain manifests, the tables of documents.
generate: crds && documents
    cargo run --quiet --bin voicemail -- openapi > docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json
    cargo cluster helm template voicemail-operator charts/voicemail-operator --namespace voicemail-system --no-hooks \
      > deploy/voicemail-operator.yaml.new && mv deploy/voicemail-operator.yaml.new deploy/voicemail-operator.yaml

# Builds the pages of `web/` into web/dist, which is checked in.
web-build:
    cd web && npm ci --ignore-scripts && npm run --silent build

# Types of the pages and the compiler's warnings; then in a browser, and whether web/dist is what the sources give.
web-check:
    cd web && npm ci --ignore-scripts && npm run --silent check
    cargo test -p voicemail-server --test web

# Serves the pages as they are being written, in front of `voicemail dev` (VOICEMAIL says where that is).
web-dev:
    cd web && npm ci --ignore-scripts && npm run dev

# Writes the generated parts of documents, such as the index of the decisions.
documents:
    WRITE_DOCUMENTS=1 cargo test -p voicemail-tests --test documents

# Checks Markdown, YAML, shell scripts, workflows and this file; under a minute.
lint:
    tools/lint

# Builds the documentation site into target/site.
docs:
    tools/site

# The documentation of the code, where every warning is an error; `just rustdoc --open` shows it.
rustdoc *arguments:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps {{ arguments }}

# The floors: which crate may know which, cycles of modules with the lines that make them, lines of each crate.
cycles:
    cargo test -p voicemail-tests --test floors

# Licences, bans, sources, and advisories where their database can be fetched.
deny *what="check":
    cargo deny {{ what }}

# Seconds of each fuzz target.
fuzz seconds="10":
    #!/usr/bin/env bash
    set -euo pipefail
    cd fuzz
    targets=$(cargo fuzz list)
    for target in $targets; do
      mkdir -p "corpus/$target"
      cargo fuzz run --dev --sanitizer none "$target" "corpus/$target" "seeds/$target" -- -max_total_time={{ seconds }} -max_len=4096
    done

# All artefacts of a release, in a folder; tools/release tells its options. Publishing is the release workflow's.
release *arguments:
    tools/release {{ arguments }}

# Formats Rust and this file.
format:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml
    just --fmt --unstable

# Checks what you commit before you do, by .githooks/pre-commit; `git commit --no-verify` skips it once.
hooks:
    git config core.hooksPath .githooks

# Everything that CI runs, in its order; as root on Debian.
ci:
    .ci/run
