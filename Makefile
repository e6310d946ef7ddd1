# guard: libguard.so (preloaded) and guard (the command).
#
#   make                 build/libguard.so and build/guard, after fetching and building what is missing
#   make demo            an inference that works under the guard, and poisoned twins of it that do not
#   make check           all tests; its parts: check-layers check-symbols check-unit check-python; and check-asan apart
#   make bench | fuzz    a table of what the guard costs | every fuzzer for FUZZ_SECONDS
#   make install | dist  files under DESTDIR PREFIX | build/guard-VERSION-ARCH.tar.gz with what a container needs
#   make clean           what was compiled goes; make distclean takes fetched sources and the Python environment along
#
# CC=clang, WERROR= (warnings stay warnings), DEPS=system (link the host's libunwind, zlib and cJSON as shared libraries,
# for packagers) and V=1 (show commands) are the knobs.

VERSION := 0.1.0
PREFIX ?= /usr/local
ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
OBJCOPY ?= objcopy
STRIP ?= strip
WERROR ?= -Werror
DEPS ?= private
FUZZ_SECONDS ?= 20
ifneq ($(filter $(DEPS),private system),$(DEPS))
$(error DEPS is "private" or "system")
endif
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

B := build
O := $B/obj
THIRD := $B/deps
STAMPS := $B/stamps

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wcast-qual -Wwrite-strings \
            -Wformat-security
CFLAGS ?= -O2 -g
# Fortified calls end in abort(), which code inside somebody else's process must not reach. The stack protector stays: code
# that reads hostile bytes would rather end than be taken over.
OWN_CFLAGS := -std=gnu11 $(WARNINGS) $(WERROR) -fPIC -fvisibility=hidden -fno-plt -ftls-model=initial-exec \
              -fstack-protector-strong -ffile-prefix-map=$(CURDIR)=. -U_FORTIFY_SOURCE -DGUARD_VERSION='"$(VERSION)"'
LINK_SAFE := -Wl,-z,now,-z,relro,-z,defs,-z,noexecstack,--exclude-libs,ALL,--build-id

ifeq ($(DEPS),private)
THIRD_STAMP := $(STAMPS)/deps
OWN_CPPFLAGS := -isystem $(THIRD)/include
LIBUNWIND := $O/libunwind.a
ARCHIVES := $(THIRD)/lib/libz.a $(THIRD)/lib/libcjson.a
else
THIRD_STAMP := $(STAMPS)/deps-system
# libgcc_s comes first, so that _Unwind_* binds there and not in libunwind, which defines the same names.
SHARED := -Wl,--no-as-needed -lgcc_s -Wl,--as-needed -lunwind -lz -lcjson
endif
# SHA-256 only; as an archive, because a shared libcrypto would meet the program's own.
LIBS = $(LIBUNWIND) $(ARCHIVES) $(SHARED) -l:libcrypto.a

ANALYZER := $(wildcard analyzer/*.c analyzer/*/*.c)
POLICY := $(wildcard policy/*.c policy/*/*.c policy/*.S)
PRELOAD := $(wildcard preload/*.c preload/*.S)
COMMAND := $(wildcard preload/command/*.c)
objects = $(patsubst %,$O/%.o,$(basename $(1)))
LIBRARY_OBJECTS := $(call objects,$(PRELOAD) $(POLICY) $(ANALYZER))
COMMAND_OBJECTS := $(call objects,$(COMMAND))
UNIT_TESTS := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: all demo check check-layers check-symbols check-unit check-python check-asan bench fuzz install dist clean distclean
.DELETE_ON_ERROR:
.SECONDARY:

all: $B/libguard.so $B/guard

# --- What the host must have, and the archives -----------------------------------------------------------------------

COMPILER_PACKAGES := gcc:gcc $(if $(findstring clang,$(CC)),clang:clang) ld:binutils /usr/include/stdio.h:libc6-dev \
                     /usr/include/openssl/sha.h:libssl-dev
$(STAMPS)/compiler: preload/deps/packages.sh Makefile
	$Qmkdir -p $(@D)
	$Q./preload/deps/packages.sh $(COMPILER_PACKAGES)
	$Qtouch $@

$(STAMPS)/deps: preload/deps/fetch.sh preload/deps/build.sh preload/deps/pins.sh | $(STAMPS)/compiler
	$Q./preload/deps/packages.sh dpkg-source:dpkg-dev
	$Q./preload/deps/fetch.sh $(THIRD)/src
	$QCC='gcc' AR='$(AR)' ./preload/deps/build.sh $(THIRD)/src $(THIRD)
	$Qtouch $@

$(STAMPS)/deps-system: preload/deps/packages.sh | $(STAMPS)/compiler
	$Q./preload/deps/packages.sh /usr/include/libunwind.h:libunwind-dev /usr/include/zlib.h:zlib1g-dev \
	    /usr/include/cjson/cJSON.h:libcjson-dev
	$Qtouch $@

# --- Objects ---------------------------------------------------------------------------------------------------------

# Rewritten when it would say something else: changed flags rebuild what they concern.
$O/flags: FORCE
	$Qmkdir -p $(@D)
	$Qecho '$(CC) $(CFLAGS) $(OWN_CFLAGS) $(CPPFLAGS) $(OWN_CPPFLAGS) $(LDFLAGS) $(DEPS)' | cmp -s - $@ || \
	    echo '$(CC) $(CFLAGS) $(OWN_CFLAGS) $(CPPFLAGS) $(OWN_CPPFLAGS) $(LDFLAGS) $(DEPS)' >$@
FORCE:

# preload speaks of both the plain and the 64-bit names; no header may turn one into the other.
$O/preload/%.o: OWN_CPPFLAGS += -U_FILE_OFFSET_BITS
$O/preload/command/%.o: OWN_CPPFLAGS += -D_FILE_OFFSET_BITS=64

$O/%.o: %.c $O/flags $(THIRD_STAMP)
	$Qmkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(CC) $(OWN_CPPFLAGS) $(CPPFLAGS) $(OWN_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$O/%.o: %.S $O/flags $(THIRD_STAMP)
	$Qmkdir -p $(@D)
	$(call say,AS,$<)
	$Q$(CC) $(OWN_CPPFLAGS) $(CPPFLAGS) -MMD -MP -c $< -o $@

# .incbin leaves no trace in dependency files.
$(call objects,$(wildcard policy/*.S)): $(wildcard policy/*.json)

# One line a row of the table: "HOOK name" or "SKIP name".
$O/hooks.txt: preload/hooks.def $O/flags | $(STAMPS)/compiler
	$Qprintf '%s\n' '#define HOOK(family, ret, name, ...) HOOK name' '#define SKIP(name, why) SKIP name' \
	    '#include "preload/hooks.def"' | $(CC) -E -P -x c -I. - | grep -oE '(HOOK|SKIP) [A-Za-z_0-9]+' >$@

$O/guard.map: $O/hooks.txt
	$Qawk 'BEGIN { print "{"; print "  global:" } $$1 == "HOOK" { print "    " $$2 ";" } END { print "  local: *;"; print "};" }' \
	    $< >$@

# libunwind opens a pipe and may abort: what unwind_wrap.c defines as __wrap_NAME replaces NAME, in its objects alone.
$O/libunwind.a: $(call objects,$(wildcard preload/unwind_wrap.c)) $(STAMPS)/deps
	$Qnm $(filter %.o,$^) /dev/null 2>/dev/null | sed -n 's/.* T __wrap_\(.*\)/\1 __wrap_\1/p' >$O/unwind_wrap.txt
	$Q$(OBJCOPY) --redefine-syms=$O/unwind_wrap.txt $(THIRD)/lib/libunwind.a $@

# --- What is shipped -------------------------------------------------------------------------------------------------

$B/libguard.so: $(LIBRARY_OBJECTS) $O/guard.map $(LIBUNWIND) tests/unit/check_link.sh
	$(call say,LD,$@)
	$Q$(CC) -shared $(CFLAGS) $(LDFLAGS) $(LINK_SAFE) -Wl,-soname,libguard.so,--version-script=$O/guard.map \
	    -o $@ $(LIBRARY_OBJECTS) $(LIBS)
	$Q$(if $(filter private,$(DEPS)),./tests/unit/check_link.sh $@)

# All of the library's objects as an archive. It is linked behind libc, so that a call of open() in the command means libc's
# and pulls in no hook; check-symbols sees to it.
$O/library.a: $(LIBRARY_OBJECTS)
	$Qrm -f $@
	$Q$(AR) rcs $@ $^
BEHIND_LIBC = -lc -Wl,--start-group $O/library.a $(LIBS) -Wl,--end-group

$B/guard: $(COMMAND_OBJECTS) $O/library.a $(LIBUNWIND) tests/unit/check_link.sh
	$(call say,LD,$@)
	$Q$(CC) -pie $(CFLAGS) $(LDFLAGS) $(LINK_SAFE) -o $@ $(COMMAND_OBJECTS) $(BEHIND_LIBC)
	$Q$(if $(filter private,$(DEPS)),./tests/unit/check_link.sh $@)

clean:
	rm -rf $O $B/unit $B/asan $B/fuzz $B/bench $B/dist $B/libguard.so $B/guard

distclean:
	rm -rf $B

-include $(patsubst %.o,%.d,$(LIBRARY_OBJECTS) $(COMMAND_OBJECTS))
