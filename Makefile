# make              all programs in bin/
# make launcher     bin/berth-launch, the static C program that carries out launch plans
# make test-launcher  its tests, with the address and undefined-behaviour sanitizers (as root: more of them run)

CC = gcc
launcher_sources := $(sort $(wildcard Sources/CShims/Launcher/*.c))
launcher_headers := $(wildcard Sources/CShims/Launcher/*.h) $(wildcard Sources/CShims/Launcher/Generated/*.h)
launcher_generated := Sources/CShims/Launcher/Generated/launch.pb-c.c
launcher_objects := $(patsubst Sources/CShims/Launcher/%.c,build/launcher/%.o,$(launcher_sources)) \
	build/launcher/launch.pb-c.o
launcher_warnings := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wformat=2 -Wno-format-nonliteral -Wvla
launcher_hardening := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fno-plt \
	-ffunction-sections -fdata-sections -fno-strict-aliasing
launcher_linking := -static -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -s

.PHONY: launcher test-launcher

launcher: bin/berth-launch

bin/berth-launch: $(launcher_objects)
	@mkdir -p bin
	$(CC) $(launcher_linking) -o $@ $^ -lprotobuf-c

build/launcher/launch.pb-c.o: $(launcher_generated) $(launcher_headers)
	@mkdir -p build/launcher
	@$(CC) -std=c11 -D_GNU_SOURCE $(launcher_hardening) -c -o $@ $<

build/launcher/%.o: Sources/CShims/Launcher/%.c $(launcher_headers) Makefile
	@mkdir -p build/launcher
	@echo "cc $<"; $(CC) $(launcher_warnings) $(launcher_hardening) -c -o $@ $<

launcher_tests := $(sort $(wildcard Tests/Launcher/*.c))

build/launcher-tests: $(launcher_tests) $(launcher_sources) $(launcher_generated) $(launcher_headers) $(wildcard Tests/Launcher/*.h)
	@mkdir -p build
	$(CC) $(launcher_warnings) -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
		-ISources/CShims/Launcher -o $@ $(launcher_tests) $(filter-out %/main.c,$(launcher_sources)) $(launcher_generated) -lprotobuf-c

test-launcher: build/launcher-tests
	ASAN_OPTIONS=detect_leaks=1 build/launcher-tests
