# guard: libguard.so (preloaded) and guard (the command).
#
#   make                 build/libguard.so and build/guard, after fetching and building what is missing
#   make demo            an inference that works under the guard, and poisoned twins of it that do not
#   make check           all tests; its parts: check-layers check-symbols check-unit check-python
#   make check-benign    what real libraries write and what this machine has installed: no false alarms (a quarter of an hour)
#   make check-drawn     300 functions drawn at random, called by pickles in every way; DRAWN and DRAWN_SEED choose others
#   make check-asan      the unit tests and damaged files under the address and undefined behaviour sanitizers
#   make bench | fuzz    a table of what the guard costs | every fuzzer for FUZZ_SECONDS
#   make install | dist  files under DESTDIR PREFIX | build/guard-VERSION-ARCH.tar.gz with what a container needs
#   make clean           what was compiled goes; make distclean takes fetched sources and the Python environment along
#
# CC=clang, WERROR= (warnings stay warnings), DEPS=system (link the host's libunwind, cJSON and decompressors as shared
# libraries, for packagers) and V=1 (show commands) are the knobs.

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
B := build
comma := ,
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

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
LINK_SAFE := -Wl,-z,now,-z,relro,-z,defs,-z,noexecstack,--exclude-libs,ALL,--gc-sections,--build-id

# The successor of OpenSSL's SHA256_* calls would pull most of libcrypto in, with its start-up and its locks.
OWN_CPPFLAGS := -DOPENSSL_SUPPRESS_DEPRECATED

ifeq ($(DEPS),private)
THIRD_STAMP := $(STAMPS)/deps
OWN_CPPFLAGS += -isystem $(THIRD)/include
LIBUNWIND := $O/libunwind.a
ARCHIVES := $(patsubst %,$(THIRD)/lib/lib%.a,z bz2 lzma lz4 zstd cjson)
else
THIRD_STAMP := $(STAMPS)/deps-system
# libgcc_s comes first, so that _Unwind_* binds there and not in libunwind, which defines the same names.
SHARED := -Wl,--no-as-needed -lgcc_s -Wl,--as-needed -lunwind -lz -lbz2 -llzma -llz4 -lzstd -lcjson
endif
# SHA-256 only; as an archive, because a shared libcrypto would meet the program's own. digest_start.c starts it.
LIBS = $(LIBUNWIND) $(ARCHIVES) $(SHARED) -l:libcrypto.a -Wl,--wrap=OPENSSL_cpuid_setup

ANALYZER := $(wildcard analyzer/*.c analyzer/*/*.c)
POLICY := $(wildcard policy/*.c policy/*/*.c policy/*.S)
PRELOAD := $(wildcard preload/*.c preload/*.S)
COMMAND := $(wildcard preload/command/*.c preload/command/*.S)
COMMAND_PARTS := $(filter-out preload/command/main.c,$(COMMAND)) # what a fuzzer may call
objects = $(patsubst %,$O/%.o,$(basename $(1)))
LIBRARY_OBJECTS := $(call objects,$(PRELOAD) $(POLICY) $(ANALYZER))
COMMAND_OBJECTS := $(call objects,$(COMMAND))
UNIT_TESTS := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: all demo check check-layers check-symbols check-unit check-python check-benign check-drawn check-asan bench fuzz install dist clean \
        distclean FORCE
.DELETE_ON_ERROR:
.PRECIOUS: $B/obj/%.o $B/asan/obj/%.o $B/fuzz/obj/%.o

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
	    /usr/include/bzlib.h:libbz2-dev /usr/include/lzma.h:liblzma-dev /usr/include/lz4frame.h:liblz4-dev \
	    /usr/include/zstd.h:libzstd-dev /usr/include/cjson/cJSON.h:libcjson-dev
	$Qtouch $@

# --- Objects ---------------------------------------------------------------------------------------------------------

# Rewritten when it would say something else: changed flags rebuild what they concern.
$O/flags: FORCE
	$Qmkdir -p $(@D)
	$Qecho '$(CC) $(CFLAGS) $(OWN_CFLAGS) $(CPPFLAGS) $(OWN_CPPFLAGS) $(LDFLAGS) $(DEPS)' | cmp -s - $@ || \
	    echo '$(CC) $(CFLAGS) $(OWN_CFLAGS) $(CPPFLAGS) $(OWN_CPPFLAGS) $(LDFLAGS) $(DEPS)' >$@
FORCE:

# preload speaks of both the plain and the 64-bit names; no header may turn one into the other.
$O/preload/%.o: private OWN_CPPFLAGS += -U_FILE_OFFSET_BITS

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
$(call objects,$(wildcard preload/command/*.S)): $(wildcard preload/command/*.html)

# One line a row of the table: "HOOK name" or "SKIP name".
$O/hooks.txt: preload/hooks.def $O/flags | $(STAMPS)/compiler
	$Qprintf '%s\n' '#define HOOK(family, ret, name, ...) HOOK name' '#define SKIP(name, why) SKIP name' \
	    '#include "preload/hooks.def"' | $(CC) -E -P -x c -I. - | grep -oE '(HOOK|SKIP) [A-Za-z_0-9]+' >$@

$O/guard.map: $O/hooks.txt
	$Qawk 'BEGIN { print "{"; print "  global:" } $$1 == "HOOK" { print "    " $$2 ";" } END { print "  local: *;"; print "};" }' \
	    $< >$@

# libunwind opens a pipe and may abort: what unwind_wrap.c defines as __wrap_NAME replaces NAME, in its objects alone.
$O/libunwind.a: $O/preload/unwind_wrap.o $(STAMPS)/deps
	$Qnm $< | sed -n 's/.* T __wrap_\(.*\)/\1 __wrap_\1/p' >$O/unwind_wrap.txt
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
behind_libc = -lc -Wl,--start-group $(1) $(LIBS) -Wl,--end-group

$B/guard: $(COMMAND_OBJECTS) $O/library.a $(LIBUNWIND) tests/unit/check_link.sh
	$(call say,LD,$@)
	$Q$(CC) -pie $(CFLAGS) $(LDFLAGS) $(LINK_SAFE) -o $@ $(COMMAND_OBJECTS) $(call behind_libc,$O/library.a)
	$Q$(if $(filter private,$(DEPS)),./tests/unit/check_link.sh $@)

# --- Tests -----------------------------------------------------------------------------------------------------------

PYTHON = $B/venv/bin/python
RUN = $(PYTHON) tests/run.py --work $B/check

# torch.compile calls g++; pip and git-less hosts need the certificates.
$(STAMPS)/venv: tests/requirements.txt tests/tools/venv.sh
	$Qmkdir -p $(@D)
	$Q./preload/deps/packages.sh gcc:gcc g++:g++ /usr/include/stdio.h:libc6-dev \
	    /etc/ssl/certs/ca-certificates.crt:ca-certificates
	$Q./tests/tools/venv.sh $B/venv tests/requirements.txt
	$Qtouch $@

# The report's page is opened in a browser, and what programs open is seen by strace.
$(STAMPS)/tools: preload/deps/packages.sh Makefile
	$Qmkdir -p $(@D)
	$Q./preload/deps/packages.sh strace:strace chromium:chromium chromedriver:chromium-driver qemu-aarch64:qemu-user \
	    aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu /usr/aarch64-linux-gnu/include/stdio.h:libc6-dev-arm64-cross
	$Qtouch $@

# $(call variant,FOLDER,COMPILER,FLAGS): objects and archive of the library once more, under build/FOLDER.
define variant
$B/$1/obj/%.o: %.c $O/flags $(THIRD_STAMP)
	$Qmkdir -p $$(@D)
	$$(call say,CC,"$$< ($1)")
	$Q$2 $$(OWN_CPPFLAGS) $$(OWN_CFLAGS) -g $3 -MMD -MP -c $$< -o $$@
$B/$1/library.a: $(patsubst %.c,$B/$1/obj/%.o,$(filter %.c,$(PRELOAD) $(POLICY) $(ANALYZER) $(COMMAND_PARTS))) \
                 $(call objects,$(filter %.S,$(POLICY) $(COMMAND_PARTS)))
	$Qrm -f $$@
	$Q$$(AR) rcs $$@ $$^
-include $(wildcard $B/$1/obj/*/*.d $B/$1/obj/*/*/*.d)
endef
SANITIZE := -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all
$(eval $(call variant,asan,$(CC),$(SANITIZE) -fsanitize=address$(comma)undefined))
$(eval $(call variant,fuzz,clang,$(SANITIZE) -fsanitize=fuzzer-no-link$(comma)address$(comma)undefined))

# What unit tests share; an archive, so that a test takes along only what it calls.
SUPPORT := $(patsubst %.c,%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
$O/tests/support.a: $(addprefix $O/,$(SUPPORT))
$B/asan/obj/tests/support.a: $(addprefix $B/asan/obj/,$(SUPPORT))
%/tests/support.a:
	$Qrm -f $@
	$Q$(AR) rcs $@ $^

$B/unit/test_%: $O/tests/unit/test_%.o $O/tests/support.a $O/library.a $(LIBUNWIND)
	$Qmkdir -p $(@D)
	$(call say,LD,$@)
	$Q$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter $O/tests/%,$^) $(call behind_libc,$O/library.a)

$B/asan/test_%: $B/asan/obj/tests/unit/test_%.o $B/asan/obj/tests/support.a $B/asan/library.a $(LIBUNWIND)
	$(call say,LD,$@)
	$Q$(CC) -fsanitize=address,undefined -o $@ $(filter $B/asan/obj/tests/%,$^) $(call behind_libc,$B/asan/library.a)

# Prints what the analyzer says of a file, for tests in Python.
$B/effects_dump: $O/tests/tools/effects_dump.o $O/library.a $(LIBUNWIND)
	$(call say,LD,$@)
	$Q$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(call behind_libc,$O/library.a)

# A fuzzer's entry point, driven over damaged files instead of by libFuzzer.
$B/asan/damage_%: $B/asan/obj/tests/fuzz/fuzz_%.o $B/asan/obj/tests/fuzz/damage.o $B/asan/library.a $(LIBUNWIND)
	$(call say,LD,$@)
	$Q$(CC) -fsanitize=address,undefined -o $@ $(filter $B/asan/obj/tests/%.o,$^) $(call behind_libc,$B/asan/library.a)

# The same without sanitizers, for `make check`: less is seen, but far more is done in a second.
$B/unit/damage_%: $O/tests/fuzz/fuzz_%.o $O/tests/fuzz/damage.o $O/library.a $(LIBUNWIND)
	$Qmkdir -p $(@D)
	$(call say,LD,$@)
	$Q$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter $O/tests/%,$^) $(call behind_libc,$O/library.a)

$B/fuzz/fuzz_%: $B/fuzz/obj/tests/fuzz/fuzz_%.o $B/fuzz/library.a $(LIBUNWIND)
	$(call say,LD,$@)
	$Qclang -fsanitize=fuzzer,address,undefined -o $@ $(filter $B/fuzz/obj/tests/%.o,$^) $(call behind_libc,$B/fuzz/library.a)

FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
$(STAMPS)/clang: preload/deps/packages.sh
	$Qmkdir -p $(@D)
	$Q./preload/deps/packages.sh clang:clang
	$Qtouch $@
$B/fuzz/library.a $(patsubst %,$B/fuzz/obj/tests/fuzz/fuzz_%.o,$(FUZZERS)): | $(STAMPS)/clang
$B/corpus/stamp: tests/fuzz/make_corpus.py
	$Q./preload/deps/packages.sh python3:python3-minimal
	$Qpython3 tests/fuzz/make_corpus.py $(@D)
	$Qtouch $@

# Damaged files go through the whole analyzer and through the pickle machine here, through every fuzzer in check-asan.
DAMAGE := $B/unit/damage_scan $B/unit/damage_pickle
check: all $(UNIT_TESTS) $(DAMAGE) $B/corpus/stamp $B/effects_dump $(STAMPS)/venv $(STAMPS)/tools
	$QDAMAGE_ROUNDS=40 $(RUN) --pytest tests/python tests/unit/check_layers.sh tests/unit/check_symbols.py $(UNIT_TESTS) $(DAMAGE)
check-layers: all
	$Qtests/unit/check_layers.sh
check-symbols: all $(STAMPS)/venv
	$Q$(PYTHON) tests/unit/check_symbols.py
check-unit: $(UNIT_TESTS) $(STAMPS)/venv
	$Q$(RUN) $(UNIT_TESTS)
check-python: all $B/effects_dump $(STAMPS)/venv $(STAMPS)/tools
	$Q$(RUN) --pytest tests/python
check-benign: all $(STAMPS)/venv
	$Q$(RUN) --pytest tests/benign
check-drawn: all $(STAMPS)/venv
	$QDRAWN=$${DRAWN:-300} $(PYTHON) -m pytest -q -s tests/python/test_live_alone.py -k drawn
check-asan: $(UNIT_TESTS:$B/unit/%=$B/asan/%) $(FUZZERS:%=$B/asan/damage_%) $B/corpus/stamp $(STAMPS)/venv
	$Q$(RUN) $(UNIT_TESTS:$B/unit/%=$B/asan/%) $(FUZZERS:%=$B/asan/damage_%)

fuzz: $(FUZZERS:%=$B/fuzz/fuzz_%) $B/corpus/stamp
	$Qfor name in $(FUZZERS); do \
	    mkdir -p $B/fuzz/corpus/$$name; \
	    echo "fuzz_$$name for $(FUZZ_SECONDS) s"; \
	    $B/fuzz/fuzz_$$name -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
	        -artifact_prefix=$B/fuzz/$$name- $B/fuzz/corpus/$$name $B/corpus tests/fuzz/crashes || exit 1; \
	done

bench: all $(STAMPS)/venv
	$Q$(PYTHON) tests/bench/bench.py --library $B/libguard.so --work $B/bench
	$Q$(PYTHON) tests/bench/bench_scan.py --command $B/guard --work $B/bench
demo: all $(STAMPS)/venv
	$Qtests/demo/demo.sh

# --- Where it goes ---------------------------------------------------------------------------------------------------

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/guard $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $B/guard $(DESTDIR)$(PREFIX)/bin/guard
	install -m 755 $B/libguard.so $(DESTDIR)$(PREFIX)/lib/guard/libguard.so
	install -m 644 preload/command/guard.1 $(DESTDIR)$(PREFIX)/share/man/man1/guard.1
	$(STRIP) --strip-unneeded $(DESTDIR)$(PREFIX)/bin/guard $(DESTDIR)$(PREFIX)/lib/guard/libguard.so

# Unpacked at /, it is an installation in /usr/local; notices travel with the code they are about.
DIST := guard-$(VERSION)-$(shell uname -m)
dist: all
	$Qrm -rf $B/dist
	$Q$(MAKE) --no-print-directory install DESTDIR=$B/dist/$(DIST) PREFIX=/usr/local
	$Qinstall -d $B/dist/$(DIST)/usr/local/share/doc/guard
	$Qinstall -m 644 README.md LICENSE $(wildcard $(THIRD)/NOTICE) $B/dist/$(DIST)/usr/local/share/doc/guard/
	$Qtar -C $B/dist/$(DIST) --owner=0 --group=0 --sort=name -czf $B/$(DIST).tar.gz usr
	@echo $B/$(DIST).tar.gz

clean:
	rm -rf $O $B/unit $B/asan $B/fuzz $B/corpus $B/check $B/bench $B/dist $B/$(DIST).tar.gz $B/libguard.so $B/guard
distclean:
	rm -rf $B

-include $(wildcard $O/*/*.d $O/*/*/*.d)
