# make                  all programs, optimised and self-contained, in bin/
# make CONFIG=debug     the same for development and for the integration tests, in bin/debug/
# make install          into PREFIX (/usr/local), with the unit file and an example configuration; DESTDIR is honoured
# make launcher         bin/berth-launch, the static C program that carries out launch plans
# make test-launcher    its tests, with the address and undefined-behaviour sanitizers (as root: more of them run)

CONFIG ?= release
PREFIX ?= /usr/local
programs := berthd berth-kubelet berth-crictl berth-ctr

.PHONY: all programs install clean
all: launcher programs

ifeq ($(CONFIG),debug)
programs:
	swift build --quiet
	@mkdir -p bin/debug
	@folder=$$(swift build --show-bin-path); for program in $(programs) berth-oci bench-cri; do \
		ln -f "$$folder/$$program" bin/debug/$$program; done
	@ln -f bin/berth-launch bin/debug/berth-launch
else
swift_release := swift build -c release --static-swift-stdlib -Xlinker -s
# Static to the last library, so that it starts in a millisecond; in a folder of its own, since the flag is for all modules.
swift_static := BERTH_ONLY=berth-oci swift build -c release --scratch-path .build/static -Xswiftc -static-executable -Xlinker -s \
	--product berth-oci

programs:
	$(swift_release)
	$(swift_static)
	@mkdir -p bin
	@folder=$$($(swift_release) --show-bin-path); for program in $(programs); do \
		install -m 0755 "$$folder/$$program" bin/$$program; done
	@install -m 0755 "$$($(swift_static) --show-bin-path)/berth-oci" bin/berth-oci
endif

install:
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/berth $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)/etc/berth
	install -m 0755 $(addprefix bin/,$(programs) berth-oci) $(DESTDIR)$(PREFIX)/bin/
	install -m 0755 bin/berth-launch $(DESTDIR)$(PREFIX)/libexec/berth/
	sed 's|/usr/local/|$(PREFIX)/|g' packaging/berth.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/berth.service
	bin/berthd config default > $(DESTDIR)/etc/berth/config.toml.example

clean:
	rm -rf bin build .build

CC = gcc
# Of musl: a quarter of the size with glibc, which is what each start copies and each monitor keeps, and no start-up that
# asks the processor for its caches, which is slow in a virtual machine. The tests are built with glibc and sanitizers.
MUSL_CC = musl-gcc
launcher_sources := $(sort $(wildcard Sources/CShims/Launcher/*.c))
launcher_headers := $(wildcard Sources/CShims/Launcher/*.h) $(wildcard Sources/CShims/Launcher/Generated/*.h)
launcher_generated := Sources/CShims/Launcher/Generated/launch.pb-c.c
launcher_objects := $(patsubst Sources/CShims/Launcher/%.c,build/launcher/%.o,$(launcher_sources)) \
	build/launcher/launch.pb-c.o
launcher_warnings := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wformat=2 -Wno-format-nonliteral -Wvla
launcher_hardening := -O2 -fstack-protector-strong -fstack-clash-protection -fno-plt \
	-ffunction-sections -fdata-sections -fno-strict-aliasing
launcher_linking := -static -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -s

launcher_headers_folder := build/launcher/include
launcher_compile = $(MUSL_CC) -std=c11 -D_GNU_SOURCE $(launcher_hardening) -isystem $(launcher_headers_folder) -c

.PHONY: launcher test-launcher

launcher: bin/berth-launch

bin/berth-launch: $(launcher_objects)
	@mkdir -p bin
	@echo "ld $@"; $(MUSL_CC) $(launcher_linking) -o $@ $^ $(shell $(CC) -print-file-name=libprotobuf-c.a)

# The kernel's and protobuf-c's headers, which do not depend on the C library, without glibc's beside them.
$(launcher_headers_folder):
	@mkdir -p $@
	@ln -sfn /usr/include/linux $@/linux
	@ln -sfn /usr/include/asm-generic $@/asm-generic
	@ln -sfn /usr/include/$(shell $(CC) -print-multiarch)/asm $@/asm
	@ln -sfn /usr/include/protobuf-c $@/protobuf-c

build/launcher/launch.pb-c.o: $(launcher_generated) $(launcher_headers) Makefile | $(launcher_headers_folder)
	@$(launcher_compile) -o $@ $<

build/launcher/%.o: Sources/CShims/Launcher/%.c $(launcher_headers) Makefile | $(launcher_headers_folder)
	@echo "cc $<"; $(launcher_compile) $(launcher_warnings) -o $@ $<

launcher_tests := $(sort $(wildcard Tests/Launcher/*.c))

build/launcher-tests: $(launcher_tests) $(launcher_sources) $(launcher_generated) $(launcher_headers) $(wildcard Tests/Launcher/*.h)
	@mkdir -p build
	$(CC) $(launcher_warnings) -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
		-ISources/CShims/Launcher -o $@ $(launcher_tests) $(filter-out %/main.c,$(launcher_sources)) $(launcher_generated) -lprotobuf-c

test-launcher: build/launcher-tests
	ASAN_OPTIONS=detect_leaks=1 build/launcher-tests
