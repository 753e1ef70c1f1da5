# tenancy: built with PGXS.
#
#   make                 the extension: tenancy.so and its install script
#   make install         honours DESTDIR
#   make installcheck    regression and isolation tests against a running, installed server
#   make test-tools      the token mint the tests use
#   make unit            the unit tests
#   make fuzz            the fuzz targets, with clang
#   make bench-tools     what dev/bench compares the extension with
#   DEV=1                warnings are errors
#   SANITIZE=1           unit tests with the address and undefined-behaviour sanitizers
#   LIBJWT_PREFIX=DIR    where include/jwt.h and lib/libjwt.a are (default: what dev/setup built,
#                        else what pkg-config knows)
#
# dev/setup installs what this needs; dev/test runs everything without touching the system's server.

EXTENSION  = tenancy
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" tenancy.control)
MODULE_big = tenancy

# Lists, never wildcards: the order of the SQL files is the order of their dependencies.
OBJS = \
	src/token.o \
	src/keyring.o \
	src/claims.o \
	src/warm_up.o \
	src/settings.o \
	src/redaction.o \
	src/changes.o \
	src/datums.o \
	src/catalog.o \
	src/privileged.o \
	src/audit.o \
	src/directory.o \
	src/names.o \
	src/issuer.o \
	src/verification.o \
	src/session.o \
	src/recording.o \
	src/policy.o \
	src/statement.o \
	src/cursors.o \
	src/explain.o \
	src/checks.o \
	src/conflict.o \
	src/barrier.o \
	src/pushdown.o \
	src/onboarding.o \
	src/ownership.o \
	src/guard.o \
	src/functions.o \
	src/tenancy.o

SQL_SCHEMA = \
	sql/schema/00_header.sql \
	sql/schema/10_trust.sql \
	sql/schema/20_directory.sql \
	sql/schema/30_rbac.sql \
	sql/schema/35_audit.sql \
	sql/schema/37_pushdown.sql \
	sql/schema/38_guard.sql \
	sql/schema/40_signal.sql \
	sql/schema/50_seeds.sql \
	sql/schema/60_protection.sql

SQL_API = \
	sql/api/00_header.sql \
	sql/api/10_session.sql \
	sql/api/15_authorization.sql \
	sql/api/20_trust.sql \
	sql/api/30_onboarding.sql \
	sql/api/40_rbac.sql \
	sql/api/42_members.sql \
	sql/api/43_roles.sql \
	sql/api/44_invitations.sql \
	sql/api/45_audit.sql \
	sql/api/46_impersonation.sql \
	sql/api/47_fresh_authentication.sql \
	sql/api/48_explain.sql \
	sql/api/50_resource_types.sql \
	sql/api/55_lifecycle.sql \
	sql/api/56_users.sql \
	sql/api/57_purge.sql \
	sql/api/58_sync.sql \
	sql/api/60_protection.sql \
	sql/api/62_pushdown.sql \
	sql/api/65_why_not.sql \
	sql/api/66_guard.sql \
	sql/api/67_doctor.sql \
	sql/api/68_verify_isolation.sql \
	sql/api/70_access.sql

# Earlier versions that an update leads from to this one, each in one step: sql/releases/ has the install script that was
# released, sql/updates/ what has been added to the state since.
RELEASES =

INSTALL_SCRIPT_SQL = sql/tenancy--$(EXTVERSION).sql
UPDATE_SCRIPTS_SQL = $(RELEASES:%=sql/tenancy--%--$(EXTVERSION).sql)
DATA_built = $(INSTALL_SCRIPT_SQL) $(UPDATE_SCRIPTS_SQL)

# The tests, in the order of the schedule that dev/test runs.
REGRESS      = $(shell sed -n 's/^test: *//p' test/schedule 2>/dev/null)
REGRESS_OPTS = --inputdir=test
ISOLATION    = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
# PostgreSQL 15 finds the isolation tests' expected/ in the output directory only.
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=tenancy

UNIT_TESTS = $(patsubst %.c,%,$(wildcard test/unit/*_test.c))
TEST_TOOLS = test/tools/mint
BENCH_TOOLS = bench/verify
FUZZ_TARGETS = $(patsubst %.c,%,$(wildcard test/fuzz/*_fuzz.c))

EXTRA_CLEAN = $(TEST_TOOLS) $(BENCH_TOOLS) $(UNIT_TESTS) $(FUZZ_TARGETS) src/*.d test/tools/*.d test/unit/*.d test/fuzz/*.d bench/*.d sql/*.tmp

# libjwt goes in statically, so nothing but libcrypto and json-c is needed at run time.
ifeq ($(LIBJWT_PREFIX),)
ifneq ($(wildcard .deps/libjwt/lib/libjwt.a),)
LIBJWT_PREFIX := .deps/libjwt
else
LIBJWT_PREFIX := $(shell pkg-config --variable=prefix libjwt 2>/dev/null)
LIBJWT_LIBDIR := $(shell pkg-config --variable=libdir libjwt 2>/dev/null)
endif
endif
LIBJWT_LIBDIR ?= $(LIBJWT_PREFIX)/lib
LIBJWT_A := $(LIBJWT_LIBDIR)/libjwt.a
JWT_CPPFLAGS = $(if $(filter-out /usr,$(LIBJWT_PREFIX)),-I$(LIBJWT_PREFIX)/include)
JWT_LIBS     = $(LIBJWT_A) -ljson-c -lcrypto

PG_CPPFLAGS = $(JWT_CPPFLAGS)
# -MMD -MP: an edited header rebuilds what includes it.
# The standard is named since gcc 15 has another by default, where () in the headers of PostgreSQL 15 means that there are no parameters.
PG_CFLAGS   = -std=gnu11 -fvisibility=hidden -MMD -MP
SHLIB_LINK  = $(JWT_LIBS) -Wl,--exclude-libs,ALL

ifdef DEV
# What -Wextra says about PostgreSQL's own headers and idioms is switched off again.
STRICT    = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Werror
PG_CFLAGS += $(STRICT)
endif

# Bitcode would inline nothing of interest, and needs clang.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

all: $(INSTALL_SCRIPT_SQL) $(UPDATE_SCRIPTS_SQL)

# OR REPLACE is for updates. In the install script it would adopt an object that somebody else put
# there first, with its owner; hence it is stripped. Anchored, as function bodies may hold the words.
$(INSTALL_SCRIPT_SQL): $(SQL_SCHEMA) $(SQL_API) tenancy.control Makefile
	cat $(SQL_SCHEMA) $(SQL_API) | sed 's/^CREATE OR REPLACE /CREATE /' > $@.tmp
	mv $@.tmp $@

$(UPDATE_SCRIPTS_SQL): sql/tenancy--%--$(EXTVERSION).sql: sql/updates/header.sql sql/updates/%.sql $(SQL_API) tenancy.control Makefile
	cat sql/updates/header.sql sql/updates/$*.sql $(SQL_API) > $@.tmp
	mv $@.tmp $@

# postgres exports a function json_object that takes the place of jansson's: a libjwt on jansson
# crashes the backend at the first token. Found here rather than there.
.PHONY: check-libjwt
check-libjwt:
	@if ! test -f '$(LIBJWT_A)'; then \
		echo "tenancy: no static libjwt (libjwt.a) found; run dev/setup, or set LIBJWT_PREFIX to a libjwt >= 3.3 built with -DWITH_JSON_C=ON" >&2; exit 1; \
	elif ! nm '$(LIBJWT_A)' 2>/dev/null | grep -q ' U json_tokener_'; then \
		echo "tenancy: $(LIBJWT_A) is built on jansson, whose json_object clashes with the one of postgres and crashes the backend; build libjwt with -DWITH_JSON_C=ON" >&2; exit 1; \
	fi

$(OBJS): | check-libjwt

# Programs of the tests. They are built apart from PostgreSQL's flags, since they must not need it.
TEST_CFLAGS = -std=gnu11 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer -MMD -MP $(STRICT)
UNIT_CFLAGS = $(TEST_CFLAGS) $(if $(SANITIZE),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all)
comma := ,

JWT_UNIT_SOURCES = test/tools/signing.c src/token.c src/keyring.c src/warm_up.c

.PHONY: test-tools bench-tools unit fuzz
test-tools: $(TEST_TOOLS)
bench-tools: $(BENCH_TOOLS)
unit: $(UNIT_TESTS)
fuzz: $(FUZZ_TARGETS)

test/tools/mint: test/tools/mint.c test/tools/signing.c
	$(CC) $(TEST_CFLAGS) -MF $@.d -o $@ $^ -ljson-c -lcrypto

bench/verify: bench/verify.c test/tools/signing.c src/keyring.c | check-libjwt
	$(CC) $(TEST_CFLAGS) $(JWT_CPPFLAGS) -Isrc -Itest/tools -MF $@.d -o $@ $(filter %.c,$^) $(JWT_LIBS)

test/unit/token_test test/unit/keyring_test: %: %.c $(JWT_UNIT_SOURCES) | check-libjwt
	$(CC) $(UNIT_CFLAGS) $(JWT_CPPFLAGS) -Isrc -Itest/tools -MF $@.d -o $@ $(filter %.c,$^) $(JWT_LIBS)

# Frontend code, on the JSON parser in PostgreSQL's own library.
test/unit/claims_test: test/unit/claims_test.c src/claims.c
	$(CC) $(UNIT_CFLAGS) -DFRONTEND -Isrc $(CPPFLAGS) -MF $@.d -o $@ $(filter %.c,$^) -L$(pkglibdir) -L$(libdir) -lpgcommon -lpgport -lm

# libFuzzer is clang's.  The memory of claims.c is test/fuzz/memory.c's.
FUZZ_CC = clang
# PostgreSQL was configured for gcc, whose attributes clang does not all know.
FUZZ_CFLAGS = $(TEST_CFLAGS) -Wno-ignored-attributes -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
FUZZ_BUILD = $(FUZZ_CC) $(FUZZ_CFLAGS) $(JWT_CPPFLAGS) -Isrc -Itest/tools -MF $@.d -o $@ $(filter %.c,$^)
FUZZ_CLAIMS = -DFRONTEND $(CPPFLAGS) $(foreach f,palloc palloc0 repalloc pstrdup pfree tn_memory_is_short,-Wl$(comma)--wrap=$(f)) -L$(pkglibdir) -L$(libdir) -lpgcommon -lpgport -lm

test/fuzz/keyring_fuzz: test/fuzz/keyring_fuzz.c src/token.c src/keyring.c | check-libjwt
	$(FUZZ_BUILD) $(JWT_LIBS)

test/fuzz/token_fuzz: test/fuzz/token_fuzz.c test/fuzz/memory.c src/token.c src/keyring.c src/claims.c test/tools/signing.c | check-libjwt
	$(FUZZ_BUILD) $(FUZZ_CLAIMS) $(JWT_LIBS)

test/fuzz/claims_fuzz: test/fuzz/claims_fuzz.c test/fuzz/memory.c src/claims.c
	$(FUZZ_BUILD) $(FUZZ_CLAIMS) -ljson-c

-include $(OBJS:.o=.d) $(TEST_TOOLS:=.d) $(BENCH_TOOLS:=.d) $(UNIT_TESTS:=.d) $(FUZZ_TARGETS:=.d)
