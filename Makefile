# The two commands of the README are `make demo` and `make test`.

PG_CONFIG ?= $(firstword $(wildcard /usr/lib/postgresql/$(shell ls /usr/lib/postgresql 2>/dev/null | sort -n | tail -n 1)/bin/pg_config) pg_config)
CARGO     ?= cargo
DESTDIR   ?=
PROFILE   ?= release

PG_BINDIR   = $(shell $(PG_CONFIG) --bindir)
PROFILE_DIR = $(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

.PHONY: all build extension install setup stage demo test conformance mixed takeover simulate faults faults-release faults-long bench book lint generate audit package package-test versions clean

all: build extension

setup:
	@scripts/setup.sh

build: setup
	$(CARGO) build --profile $(PROFILE) --bin repmgr

extension: setup
	$(MAKE) -C extension PG_CONFIG=$(PG_CONFIG) PROFILE=$(PROFILE)

# Where the original's Debian packages put them.
install: build extension
	install -d $(DESTDIR)$(PG_BINDIR) $(DESTDIR)/usr/bin $(DESTDIR)/usr/share/doc/repmgr
	install -m 755 target/$(PROFILE_DIR)/repmgr $(DESTDIR)$(PG_BINDIR)/repmgr
	ln -sf repmgr $(DESTDIR)$(PG_BINDIR)/repmgrd
	ln -sf $(PG_BINDIR)/repmgr $(DESTDIR)/usr/bin/repmgr
	ln -sf $(PG_BINDIR)/repmgrd $(DESTDIR)/usr/bin/repmgrd
	for page in man/*.[158]; do \
		install -D -m 644 $$page $(DESTDIR)/usr/share/man/man$${page##*.}/$${page##*/} || exit 1; \
	done
	install -m 644 repmgr.conf.sample $(DESTDIR)/usr/share/doc/repmgr/
	install -D -m 644 completion/repmgr.bash $(DESTDIR)/usr/share/bash-completion/completions/repmgr
	install -D -m 644 completion/_repmgr $(DESTDIR)/usr/share/zsh/vendor-completions/_repmgr
	install -D -m 644 completion/repmgr.fish $(DESTDIR)/usr/share/fish/vendor_completions.d/repmgr.fish
	$(MAKE) -C extension install PG_CONFIG=$(PG_CONFIG) DESTDIR=$(DESTDIR) PROFILE=$(PROFILE)

# A PostgreSQL of its own for demo and tests; nothing of the system's is changed.
stage: setup
	@PG_CONFIG=$(PG_CONFIG) scripts/stage.sh >/dev/null
	@$(MAKE) -s --no-print-directory -C extension install PG_CONFIG=$(PG_CONFIG) DESTDIR=$$(cat target/stage-path) PROFILE=dev

demo: stage
	$(CARGO) build -q --bin repmgr --example demo
	@target/debug/examples/demo

test: stage
	@scripts/stage-etcd.sh >/dev/null
	-@scripts/stage-original.sh >/dev/null
	-@scripts/stage-book.sh >/dev/null
	scripts/test.sh

# Every scenario with the original and with this program, where `make test` has those that need no hosts; as root.
conformance: stage
	@scripts/stage-original.sh >/dev/null
	REPMGR_TEST_LAYERS="$${REPMGR_TEST_LAYERS:-conformance faults}" $(CARGO) test -q --test conformance -- --include-ignored

# Every example of the book, on hosts of their own, as root.
book: stage
	@scripts/stage-book.sh >/dev/null
	@scripts/stage-original.sh >/dev/null
	REPMGR_TEST_LAYERS=book $(CARGO) test --test book -- --include-ignored --test-threads=2

# Clusters in which some nodes run the original: every combination, where `make test` has some of them.
mixed: stage
	@scripts/stage-original.sh >/dev/null
	$(CARGO) test --test mixed -- --include-ignored --skip takeover:: --test-threads=4

# A cluster of the original's is taken over host by host, and given back, while a client writes.
takeover: stage
	@scripts/stage-original.sh >/dev/null
	$(CARGO) test --test mixed -- --include-ignored takeover::

# What the enforcement of the right to write costs; then side by side with the original, as root.
bench: stage
	@scripts/stage-original.sh >/dev/null
	@$(MAKE) -s --no-print-directory -C extension install PG_CONFIG=$(PG_CONFIG) DESTDIR=$$(cat target/stage-path) PROFILE=release
	$(CARGO) bench --bench enforcement
	$(CARGO) bench --bench side_by_side

# Clusters in virtual time: counts each rule, fault and invariant's premise, and fails on a zero. For the right to write also
# without each of its safety rules in turn, and fails if nothing breaks then.
simulate: setup
	SIMULATION_SEEDS=$${SIMULATION_SEEDS:-130000} $(CARGO) test --profile simulation --test simulation -- --nocapture seeds
	WRITE_RIGHT_SEEDS=$${WRITE_RIGHT_SEEDS:-100000} \
		$(CARGO) test --profile simulation --test write_right -- --include-ignored --nocapture --test-threads=1

# Every fault on hosts of their own, as root; goes on where an interrupted run was (FAULTS_FRESH=1 begins anew).
faults: stage
	FAULTS=$${FAULTS:-all} $(CARGO) test -q --test faults -- --nocapture

# Before a release: five times in a row, and the table of docs/failover.md from what was measured.
faults-release: stage
	FAULTS=all FAULTS_ROUNDS=5 FAULTS_RECORD=1 $(CARGO) test -q --test faults -- --nocapture
	UPDATE_GENERATED=1 $(CARGO) test -q --test generated

# Before a release: a hundred random sequences of faults, each with writers whose acknowledged rows must all be there.
faults-long: stage
	$(CARGO) test -q --test faults -- --ignored --nocapture

lint: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

# Rewrites the files that are made from the tables in the code.
generate: setup
	UPDATE_GENERATED=1 $(CARGO) test -q --test generated

# Licences, sources and known weaknesses of the crates.
audit:
	@scripts/audit.sh

# Debian packages of this release, in target/packages.
package: setup
	@dpkg-query -W -f='$${Status}' debhelper 2>/dev/null | grep -q ' installed' || \
		apt-get install -y -qq --no-install-recommends debhelper >/dev/null
	@scripts/package.sh

# The packages over a cluster of the original's, upgraded, removed and purged, in clean Debians; as root.
package-test: setup
	scripts/package-test.sh

# The cluster tests with PostgreSQL 13, 15, 17 and 18 in the Debian releases that carry them, as root; goes on where an
# interrupted run was (VERSIONS_FRESH=1 begins anew).
versions: setup
	scripts/versions.sh $(VERSIONS)

clean:
	$(CARGO) clean
