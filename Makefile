# XORJ. `make run` and `make test` are the two commands of the README; everything else is listed by `make help`.
# B is the build directory; FLAVOUR=asan adds AddressSanitizer and UBSan; CC=clang works as well as gcc.

CC ?= gcc
FLAVOUR ?= release
ifeq ($(FLAVOUR),asan)
B ?= build/asan
OPT := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DXORJ_ASAN=1
else
B ?= build
OPT ?= -O2 -g
endif
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

PKGS := libevent libevent_openssl libpq hiredis libwebsockets libuv openssl inih
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm

WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
        -Wwrite-strings -Wformat=2 -Wundef -Wno-unused-parameter -Werror
CFLAGS_ALL = -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) -fstack-protector-strong -D_FORTIFY_SOURCE=$(if $(filter asan,$(FLAVOUR)),0,2) \
             -I. $(PKG_CFLAGS) $(CFLAGS)

LAYERS := base engine reactor storage connectors handlers
src = $(wildcard $(1)/*.c)
obj = $(patsubst %.c,$(B)/obj/%.o,$(call src,$(1)))
LIB_OBJ := $(foreach d,$(LAYERS),$(call obj,$(d)))
APP_OBJ := $(call obj,app)
SIM_OBJ := $(call obj,sim)
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))

all: $(B)/xorj $(B)/xorj-sim
.PHONY: all
.DELETE_ON_ERROR:
.SECONDARY:

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@


define layer_lib
$(B)/lib/lib$(1).a: $(call obj,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach d,$(LAYERS),$(eval $(call layer_lib,$(d))))
LINK ?= handlers connectors storage reactor engine base
LIBA := $(foreach d,$(LINK),$(B)/lib/lib$(d).a)

$(B)/obj/app/cmd.o: CFLAGS += -DXORJ_COMMIT=\"$(COMMIT)\"

$(B)/xorj: $(APP_OBJ) $(LIBA)
	$(CC) $(CFLAGS_ALL) $(APP_OBJ) -Wl,--start-group $(LIBA) -Wl,--end-group $(LIBS) -o $@

$(B)/xorj-sim: $(SIM_OBJ) $(LIBA)
	$(CC) $(CFLAGS_ALL) $(SIM_OBJ) -Wl,--start-group $(LIBA) -Wl,--end-group $(LIBS) -o $@

# A unit test is one file, linked with the layers it needs: base and engine and reactor always, more by NEED_<test>.
$(B)/tests/unit/%: tests/unit/%.c $(LIBA)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d $< -Wl,--start-group $(LIBA) -Wl,--end-group $(LIBS) -lcmocka -o $@

unit: $(UNIT)
.PHONY: unit

-include $(shell find $(B) -name '*.d' 2>/dev/null)
