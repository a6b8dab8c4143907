# XORJ. `make run` and `make test` are the two commands of the README; `make help` lists the others.
# B is the build directory; FLAVOUR=asan adds AddressSanitizer and UBSan; CC=clang works as well as gcc.

ifeq ($(origin CC),default)
CC := gcc
endif
FLAVOUR ?= release
ifeq ($(FLAVOUR),asan)
B ?= build/asan
OPT := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DXORJ_ASAN=1
else ifeq ($(FLAVOUR),fuzz)
B ?= build/fuzz
OPT := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DXORJ_ASAN=1
else
B ?= build
OPT ?= -O2 -g
endif
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

# V=1 shows the whole commands.
Q := $(if $(filter 1,$(V)),,@)
SAY := @echo "  "

# Both cores, unless the caller said otherwise.
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(JOBS)
endif

# Building needs packages but no network: say at once what is missing.
SERVANTS := help run up down status test check lint chaos bench load flame fuzz clean deps npm
ifneq ($(filter-out $(SERVANTS),$(or $(MAKECMDGOALS),all)),)
MISSING := $(shell CC='$(CC)' deploy/deps.sh --check build 2>&1)
ifneq ($(MISSING),)
$(error $(MISSING))
endif
endif

PKGS := libevent libevent_openssl libpq hiredis libwebsockets libuv openssl libargon2 inih zlib
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm

WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
        -Wwrite-strings -Wformat=2 -Wundef -Wno-unused-parameter -Werror
CFLAGS_ALL = -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(if $(filter asan fuzz,$(FLAVOUR)),0,2) \
             -I. $(PKG_CFLAGS) $(CFLAGS)

LAYERS := base engine reactor storage connectors handlers
src = $(wildcard $(1)/*.c)
obj = $(patsubst %.c,$(B)/obj/%.o,$(call src,$(1)))
LIB_OBJ := $(foreach d,$(LAYERS),$(call obj,$(d)))
APP_OBJ := $(call obj,app)
SIM_OBJ := $(call obj,sim)
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
VECTORS := $(if $(wildcard tests/vectors.c),$(B)/tests/vectors)

all: $(B)/xorj $(B)/xorj-sim $(VECTORS) ## build the programs (the default): no network
.PHONY: all
.DELETE_ON_ERROR:
.SECONDARY:

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(SAY)cc $<
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# The commit is part of `xorj version` and /api/v1/version; only those files are built again when it changes.
ifneq ($(shell cat $(B)/commit 2>/dev/null),$(COMMIT))
$(B)/obj/app/cmd.o $(B)/obj/handlers/h_system.o: FORCE
endif
$(B)/obj/app/cmd.o $(B)/obj/handlers/h_system.o: CFLAGS += -DXORJ_COMMIT='"$(COMMIT)"'
FORCE: ;
.PHONY: FORCE

define layer_lib
$(B)/lib/lib$(1).a: $(call obj,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach d,$(LAYERS),$(eval $(call layer_lib,$(d))))

# The migrations travel inside the program.
MIGRATIONS := $(sort $(wildcard storage/migrations/*.sql))
# The folder too: a file that got another name is not newer than it was.
$(B)/gen/migrations.c: storage/migrations.awk storage/migrations $(MIGRATIONS)
	@mkdir -p $(@D)
	$(Q)awk -f storage/migrations.awk $(MIGRATIONS) >$@
$(B)/obj/gen/migrations.o: $(B)/gen/migrations.c storage/migrations.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@
$(B)/lib/libstorage.a: $(B)/obj/gen/migrations.o

LINK ?= handlers connectors storage reactor engine base
LIBA := $(foreach d,$(LINK),$(B)/lib/lib$(d).a)

$(B)/xorj: $(APP_OBJ) $(LIBA)
	$(SAY)link $@
	$(Q)$(CC) $(CFLAGS_ALL) $(APP_OBJ) -Wl,--start-group $(LIBA) -Wl,--end-group $(LIBS) -o $@
	@echo $(COMMIT) >$(B)/commit

$(B)/xorj-sim: $(SIM_OBJ) $(LIBA)
	$(SAY)link $@
	$(Q)$(CC) $(CFLAGS_ALL) $(SIM_OBJ) -Wl,--start-group $(LIBA) -Wl,--end-group $(LIBS) -o $@

VEC_SRC := tests/vectors.c $(wildcard tests/vec_*.c)
VEC_LIB := $(foreach d,handlers reactor engine base,$(B)/lib/lib$(d).a)
$(B)/tests/vectors: $(VEC_SRC) $(wildcard tests/vec*.h) $(VEC_LIB)
	@mkdir -p $(@D)
	$(SAY)link $@
	$(Q)$(CC) $(CFLAGS_ALL) $(VEC_SRC) -Wl,--start-group $(VEC_LIB) -Wl,--end-group $(LIBS) -o $@

# A unit test is one file with its own main, linked with every layer; LINK="reactor base" narrows it while others change.
# Files of tests/unit that are no test are fixtures that some of them share; they come in an archive, so that a test
# without them may put its own storage in place of the real one.
FIXTURES := $(patsubst %.c,$(B)/obj/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
FIXTURE_LIB := $(if $(FIXTURES),$(B)/lib/libfixtures.a)
$(B)/lib/libfixtures.a: $(FIXTURES)
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^
$(B)/tests/unit/%: tests/unit/%.c $(FIXTURE_LIB) $(LIBA)
	@mkdir -p $(@D)
	$(SAY)link $@
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d $< -Wl,--start-group $(FIXTURE_LIB) $(LIBA) -Wl,--end-group $(LIBS) -lcmocka -o $@

$(B)/bench/engine_bench: bench/engine_bench.c $(LIBA)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $< -Wl,--start-group $(LIBA) -Wl,--end-group $(LIBS) -o $@

# The generators: libc alone.
$(B)/bench/quotes: bench/quotes.c $(B)/lib/libengine.a $(B)/lib/libbase.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $< -Wl,--start-group $(B)/lib/libengine.a $(B)/lib/libbase.a -Wl,--end-group $(LIBS) -o $@

LOADERS := $(B)/bench/load $(B)/bench/subs
$(B)/bench/load: bench/load.c bench/lat.c bench/lat.h
$(B)/bench/subs: bench/subs.c
$(LOADERS):
	@mkdir -p $(@D)
	$(SAY)link $@
	$(Q)$(CC) $(CFLAGS_ALL) $(filter %.c,$^) -o $@

# Small programs that a wire test talks to.
WIRE_BIN := $(patsubst tests/wire/%.c,$(B)/tests/wire/%,$(wildcard tests/wire/*.c))
$(B)/tests/wire/%: tests/wire/%.c $(LIBA)
	@mkdir -p $(@D)
	$(SAY)link $@
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d $< -Wl,--start-group $(LIBA) -Wl,--end-group $(LIBS) -o $@

# Fuzzers: only with FLAVOUR=fuzz and clang, as `make fuzz` builds them.
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
$(B)/tests/fuzz/%: tests/fuzz/%.c $(LIBA)
	@mkdir -p $(@D)
	$(SAY)link $@
	$(Q)$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer -MMD -MP -MF $@.d $< -Wl,--start-group $(LIBA) -Wl,--end-group $(LIBS) -o $@
fuzz_bin: $(FUZZ)
.PHONY: fuzz_bin

unit: $(UNIT)
wire_bin: $(WIRE_BIN)
.PHONY: unit wire_bin

# ---- the stack ------------------------------------------------------------------------------------------------------

STACK = B=$(B) RUN_DIR='$(RUN_DIR)' PORT='$(PORT)' FEEDS='$(FEEDS)' deploy/stack.sh
RUN_DIR ?= .run
PORT ?= 8080
FEEDS ?= sim
MAKE_ALL = +@$(MAKE) --no-print-directory

run: ## the whole thing in the foreground: FEEDS=sim|live PORT= RUN_DIR=
	@deploy/deps.sh build run
	@echo "building"
	$(MAKE_ALL) -s all
	@$(STACK) run

up: ## the same in the background; .run/env says where everything is
	@deploy/deps.sh build run
	$(MAKE_ALL) -s all
	@$(STACK) up

down: ## stop what `make up` started; the data stays
	@$(STACK) down

status: ## what runs
	@$(STACK) status

deps: ## install every package that building, running and testing need
	@deploy/deps.sh build run test
.PHONY: run up down status deps

# ---- tests ----------------------------------------------------------------------------------------------------------

SUITE ?=
SECONDS ?=
comma := ,
SUITES := $(or $(subst $(comma), ,$(SUITE)),unit wire contract replay chaos browser)
NODE_STAMP := tests/node_modules/.stamp
NODE := PATH="$(CURDIR)/build/node/bin:$$PATH:/usr/sbin" node

# npm's own network hiccups are retried; the lock file decides what is installed.
$(NODE_STAMP): tests/package.json tests/package-lock.json
	@echo "installing the test clients from the npm registry"
	@cd tests && for try in 1 2 3; do \
	    npm ci --no-audit --no-fund --ignore-scripts --omit=optional --loglevel=error && break; \
	    [ $$try = 3 ] && exit 1; sleep 3; done
	@touch $@
npm: $(NODE_STAMP) ## install the test clients
.PHONY: npm

test: ## every suite against its own throw-away stack: SUITE=unit|wire|contract|replay|chaos|browser
	@deploy/deps.sh test
	@echo "building with AddressSanitizer and UBSan"
	$(MAKE_ALL) -s FLAVOUR=asan B=$(B)/asan all $(if $(filter unit,$(SUITES)),unit) $(if $(filter wire,$(SUITES)),wire_bin)
ifneq ($(filter-out unit,$(SUITES)),)
	@echo "building the release"
	$(MAKE_ALL) -s FLAVOUR=release B=$(B) all
	$(MAKE_ALL) -s npm
endif
	@B=$(B) SECONDS='$(SECONDS)' $(NODE) tests/run.mjs $(SUITES)

chaos: ## fault runs, longer with SECONDS=
	$(MAKE_ALL) test SUITE=chaos SECONDS='$(or $(SECONDS),120)'

contract: ## clients made from the API's description, every role, more examples
	$(MAKE_ALL) test SUITE=contract CONTRACT_ALL=1 CONTRACT_EXAMPLES='$(or $(EXAMPLES),40)'

lint: ## include arrows, configuration, clang, clang-tidy, cppcheck, shellcheck
	@deploy/deps.sh --check lint || true
	@B=$(B) tests/lint/lint.sh $(ONLY)

check: ## lint and test
	$(MAKE_ALL) lint
	$(MAKE_ALL) test
.PHONY: test chaos contract lint check

ifneq ($(wildcard bench/run.mjs),)
bench: ## the ratio table beside the peers
	@deploy/deps.sh bench
	$(MAKE_ALL) -s all $(LOADERS) $(B)/bench/quotes
	@B=$(B) $(NODE) bench/run.mjs
.PHONY: bench
endif
ifneq ($(wildcard bench/load.mjs),)
load: ## the load gate, 13 minutes each way: DURATION=60 shortens it
	@deploy/deps.sh bench
	$(MAKE_ALL) -s all $(LOADERS)
	@B=$(B) DURATION='$(DURATION)' $(NODE) bench/load.mjs
.PHONY: load
endif
# With frame pointers, so that perf can walk the stack.
PROF := $(B)/prof
flame: ## where the time goes: flame graphs by perf, instructions per request by callgrind
	@deploy/deps.sh bench
	$(MAKE_ALL) -s FLAVOUR=release B=$(PROF) OPT='-O2 -g -fno-omit-frame-pointer' all $(PROF)/bench/load
	@B=$(PROF) OUT=$(B) SECONDS='$(SECONDS)' $(NODE) bench/flame.mjs
.PHONY: flame

ifneq ($(wildcard tests/fuzz/run.mjs),)
fuzz: ## the fuzzers for SECONDS= each
	@deploy/deps.sh test lint
	@echo "building with libFuzzer"
	$(MAKE_ALL) -s FLAVOUR=fuzz CC=clang B=$(B)/fuzz fuzz_bin
	@B=$(B) SECONDS='$(or $(SECONDS),60)' $(NODE) tests/fuzz/run.mjs
.PHONY: fuzz
endif

ABSENT := :$(if $(wildcard bench/run.mjs),,bench):$(if $(wildcard bench/load.mjs),,load):$(if $(wildcard tests/fuzz/run.mjs),,fuzz):
clean: ## delete what was built
	rm -rf build
help: ## this list
	@awk -F ':.*## ' -v absent='$(ABSENT)' '/^[a-z]+:.*## / && !index(absent, ":" $$1 ":") { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
.PHONY: clean help

-include $(shell find $(B)/obj $(B)/tests -name '*.d' 2>/dev/null)
