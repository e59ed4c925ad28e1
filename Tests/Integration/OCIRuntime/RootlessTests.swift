internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// The runtime as an ordinary user calls it. The user is one of the test's own: his entries in passwd, group, subuid and
/// subgid are there in a mount namespace alone.
@Suite(.enabled(if: Syscall.effectiveUserID == 0)) struct RootlessTests {
    private static let user = 54_321

    @Test(arguments: RuntimeUnderTest.allCases)
    func ownIDsNeedNobodysHelp(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await prepare(
                fixture, kind, ["/bin/sh", "-c", "id -u; cat /proc/self/uid_map /proc/self/setgroups | tr -s ' '"])
            let output = try await asUser(fixture, "run --bundle \(fixture.bundle) c1")
            #expect(output.standardOutput == "0\n 0 \(Self.user) 1\ndeny\n", "\(output)")
            #expect(output.code == 0)
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func rangesAreMappedByNewuidmap(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await prepare(
                fixture, kind, ["/bin/sh", "-c", "cat /proc/self/uid_map | tr -s ' '; cat /proc/self/setgroups"],
                """
                .linux.uidMappings = [{"containerID": 0, "hostID": \(Self.user), "size": 1},
                                      {"containerID": 1, "hostID": 3000000, "size": 65535}]
                | .linux.gidMappings = .linux.uidMappings
                """)
            let output = try await asUser(fixture, "run --bundle \(fixture.bundle) c1")
            #expect(output.standardOutput == " 0 \(Self.user) 1\n 1 3000000 65535\nallow\n", "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func detachedContainerIsDrivenByItsUser(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await prepare(fixture, kind, ["/bin/sleep", "1000"])
            let started = try await asUser(
                fixture, "run --detach --bundle \(fixture.bundle) c1 > \(fixture.scratch.path)/run/out 2>&1 < /dev/null"
            )
            #expect(started.code == 0, "\(started)")
            let exec = try await asUser(fixture, "exec c1 /bin/sh -c 'id -u; cat /proc/1/comm; exit 3'")
            #expect(exec.standardOutput == "0\nsleep\n", "\(exec)")
            #expect(exec.code == 3)
            #expect(try await asUser(fixture, "list --quiet").standardOutput == "c1\n")
            #expect(try await asUser(fixture, "kill c1 KILL").code == 0)
            try await eventually("the container to stop") {
                try await asUser(fixture, "state c1").standardOutput.contains("stopped")
            }
            #expect(try await asUser(fixture, "delete c1").code == 0)
        }
    }

    /// Those of the namespace that is his own; he has none himself.
    @Test(arguments: RuntimeUnderTest.allCases)
    func capabilitiesAreThoseOfTheConfiguration(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await prepare(fixture, kind, ["/bin/grep", "-E", "Cap(Bnd|Eff)", "/proc/self/status"])
            let output = try await asUser(fixture, "run --bundle \(fixture.bundle) c1")
            #expect(
                output.standardOutput == "CapEff:\t0000000020000420\nCapBnd:\t0000000020000420\n", "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func createdContainerTakesAnExec(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await prepare(
                fixture, kind, ["/bin/sleep", "1000"],
                ".linux.namespaces = [.linux.namespaces[] | select(.type != \"cgroup\")]")
            let created = try await asUser(
                fixture, "create --bundle \(fixture.bundle) c1 > \(fixture.scratch.path)/run/out 2>&1 < /dev/null")
            #expect(created.code == 0, "\(created)")
            let exec = try await asUser(fixture, "exec c1 /bin/id -u")
            #expect(exec.standardOutput == "0\n", "\(exec)")
            #expect(try await asUser(fixture, "delete --force c1").code == 0)
        }
    }

    @Test(.enabled(if: Files.exists("/proc/self/ns/time"))) func clocksHaveTheirOffsets() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await prepare(
                fixture, .berth, ["/bin/sleep", "1000"],
                """
                .linux.namespaces += [{"type": "time"}] | .linux.timeOffsets = {"boottime": {"secs": 1337, "nanosecs": 5}}
                """)
            let started = try await asUser(
                fixture, "run --detach --bundle \(fixture.bundle) c1 > \(fixture.scratch.path)/run/out 2>&1 < /dev/null"
            )
            #expect(started.code == 0, "\(started)")
            let output = try await asUser(fixture, "exec c1 /bin/cat /proc/self/timens_offsets")
            #expect(
                output.standardOutput.split { $0.isWhitespace }.suffix(3) == ["boottime", "1337", "5"], "\(output)")
        }
    }

    /// A container without cgroups of its own has no processes to find there, and uses nothing.
    @Test(arguments: RuntimeUnderTest.allCases)
    func withoutCgroupsThereAreStatisticsAndSignalsAllTheSame(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await prepare(fixture, kind, ["/bin/sleep", "1000"], "del(.linux.cgroupsPath)")
            let started = try await asUser(
                fixture, "run --detach --bundle \(fixture.bundle) c1 > \(fixture.scratch.path)/run/out 2>&1 < /dev/null"
            )
            #expect(started.code == 0, "\(started)")
            let statistics = try await asUser(fixture, "events --stats c1")
            #expect(statistics.code == 0, "\(statistics)")
            #expect(statistics.standardOutput.hasPrefix("{\"type\":\"stats\""), "\(statistics)")
            #expect(try await asUser(fixture, "kill c1 KILL").code == 0)
            try await eventually("the container to stop") {
                try await asUser(fixture, "state c1").standardOutput.contains("stopped")
            }
            let signalled = try await asUser(fixture, "kill --all c1 0")
            #expect(signalled.code == 0, "\(signalled)")
            #expect(try await asUser(fixture, "delete c1").code == 0)
        }
    }

    /// It stays in its caller's cgroups, and sees those.
    @Test(.enabled(if: (try? CgroupHost.detect())?.layout == .hybrid), arguments: RuntimeUnderTest.allCases)
    func cgroupsThatAreNotTheUsersAreShown(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await prepare(
                fixture, kind, ["/bin/sh", "-c", "test -e /sys/fs/cgroup/pids/tasks && ! mkdir /sys/fs/cgroup/pids/x"],
                "del(.linux.cgroupsPath)")
            let output = try await asUser(fixture, "run --bundle \(fixture.bundle) c1")
            #expect(output.code == 0, "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func processesThatNobodyWillFindAreToldOf(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await prepare(
                fixture, kind, ["/bin/true"],
                """
                del(.linux.cgroupsPath) | .linux.namespaces -= [{"type": "pid"}] | .mounts |= map(
                    if .destination == "/proc" then .type = "none" | .source = "/proc" | .options = ["rbind"] else . end)
                """)
            let output = try await asUser(fixture, "run --bundle \(fixture.bundle) c1")
            #expect(output.code == 0, "\(output)")
            // runc tells it from 1.2 on.
            #expect(kind == .runc || output.standardError.contains("strongly discouraged"), "\(output)")
        }
    }

    /// On a hybrid host the limits are v1's: the hierarchy of v2 beside them need not be the user's.
    @Test(.enabled(if: (try? CgroupHost.detect())?.layout == .hybrid))
    func hierarchiesThatLimitNothingNeedNotBeDelegated() async throws {
        try await OCIFixture.with(.berth) { fixture in
            let delegated = Cgroup(host: try CgroupHost.detect(), path: "/\(fixture.mark)")
            for directory in delegated.directories where !directory.hierarchy.isUnified {
                try await Program.system("mkdir").check(directory.path.string)
                try await Program.system("chown").check("-R", "\(Self.user)", directory.path.string)
            }
            try await prepare(
                fixture, .berth, ["/bin/sleep", "1000"],
                ".linux.cgroupsPath = \"/\(fixture.mark)/c1\" | .linux.resources = {\"pids\": {\"limit\": 20}}")
            let started = try await asUser(
                fixture, "run --detach --bundle \(fixture.bundle) c1 > \(fixture.scratch.path)/run/out 2>&1 < /dev/null"
            )
            #expect(started.code == 0, "\(started)")
            #expect(try Cgroup(delegated, child: "c1").read("pids", "pids.max") == "20")
            let exec = try await asUser(fixture, "exec c1 /bin/grep pids /proc/self/cgroup")
            #expect(exec.standardOutput.contains("/\(fixture.mark)/c1"), "\(exec)")
            #expect(try await asUser(fixture, "delete --force c1").code == 0)
            #expect(!Cgroup(delegated, child: "c1").exists)
        }
    }

    @Test func limitsNeedACgroupOfTheUsersOwn() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await prepare(fixture, .berth, ["/bin/true"], ".linux.resources = {\"memory\": {\"limit\": 67108864}}")
            let output = try await asUser(fixture, "run --bundle \(fixture.bundle) c1")
            #expect(output.code == 1)
            #expect(output.standardError.contains("linux.resources.memory"), "\(output)")
        }
    }

    @Test func delegatedCgroupIsUsed() async throws {
        try await OCIFixture.with(.berth) { fixture in
            let host = try CgroupHost.detect()
            // On v2 a process moves within what is the user's: the container's cgroup lies beside the caller's own.
            let delegated = Cgroup(host: host, path: "/\(fixture.mark)")
            let own = Cgroup(delegated, child: "own")
            try own.create()
            for directory in delegated.directories + own.directories {
                try await Program.system("chown").check("-R", "\(Self.user)", directory.path.string)
            }
            try await prepare(
                fixture, .berth, ["/bin/sleep", "1000"], ".linux.resources = {\"pids\": {\"limit\": 20}}")
            let enter = own.directories.map { "echo $$ > \($0.path)/cgroup.procs" }.joined(separator: "; ")
            let started = try await asUser(
                fixture,
                "run --detach --bundle \(fixture.bundle) c1 > \(fixture.scratch.path)/run/out 2>&1 < /dev/null",
                before: enter)
            #expect(started.code == 0, "\(started)")
            // v1 goes below the caller's cgroup, v2 beside it.
            let place = Cgroup(host.layout == .unified ? delegated : own, child: "c1")
            #expect(try place.read("pids", "pids.max") == "20")
            // From another cgroup than the one in which it was made.
            #expect(try await asUser(fixture, "update --pids-limit 30 c1").code == 0)
            #expect(try place.read("pids", "pids.max") == "30")
            #expect(try await asUser(fixture, "pause c1").code == 0)
            #expect(try await asUser(fixture, "state c1").standardOutput.contains("paused"))
            #expect(try await asUser(fixture, "delete --force c1").code == 0)
            #expect(!place.exists)
            try delegated.delete()
        }
    }

    /// podman makes itself root of a user namespace before it calls the runtime.
    @Test(arguments: RuntimeUnderTest.allCases)
    func podmanRunsContainersOfAnOrdinaryUser(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await prepare(fixture, kind, ["/bin/true"])
            let scratch = fixture.scratch.path
            let runtime = "\(scratch)/programs/\(fixture.runtime.path.lastComponent?.string ?? "")"
            let limits = #"default_ulimits = ["nofile=512:1024", "nproc=512:1024"]"#
            try fixture.scratch.file("run/containers.conf", "[containers]\n\(limits)\n", mode: 0o644)
            let script = """
                export HOME=\(scratch)/run TMPDIR=\(scratch)/run USER=berthtest CONTAINERS_CONF=\(scratch)/run/containers.conf
                cd \(scratch)/run
                podman() {
                    command podman --storage-driver vfs --cgroup-manager cgroupfs --events-backend file \
                        --runtime \(runtime) "$@" < /dev/null
                }
                tar -C \(fixture.bundle)/rootfs -cf box.tar .
                podman import -q box.tar localhost/box:1 > /dev/null 2>&1
                run="run --rm --network none"
                podman $run localhost/box:1 sh -c 'id -u; touch /tmp/a; chown 5:6 /tmp/a; stat -c %u:%g /tmp/a'
                podman $run --userns keep-id localhost/box:1 id -u
                podman run -d --name c1 --network none localhost/box:1 sleep 1000 > /dev/null
                podman exec -u 7 c1 id -u
                podman rm -f -t 0 c1
                for pause in libpod/tmp/pause.pid libpod/pause.pid; do [ ! -e $pause ] || kill $(cat $pause); done
                command podman unshare rm -rf .local
                for pause in libpod/tmp/pause.pid libpod/pause.pid; do [ ! -e $pause ] || kill $(cat $pause) 2>/dev/null; done
                """
            try fixture.scratch.file("run/podman.sh", script, mode: 0o644)
            let output = try await asUser(fixture, "", program: "sh \(scratch)/run/podman.sh")
            #expect(output.standardOutput == "0\n5:6\n\(Self.user)\n7\nc1\n", "\(output)")
        }
    }

    /// A configuration of `spec --rootless`, and all that the user needs where he can reach it.
    private func prepare(
        _ fixture: OCIFixture, _ kind: RuntimeUnderTest, _ arguments: [String], _ change: String = "."
    ) async throws {
        let scratch = fixture.scratch.path.string
        _ = try fixture.scratch.directory("run", mode: 0o777)
        _ = try fixture.scratch.directory("programs")
        for name in [fixture.runtime.path.string, Program.folder.appending("berth-launch").string] {
            try await Program.system("cp").check(name, "\(scratch)/programs/")
        }
        try await fixture.runtime.check("spec", "--rootless", workingDirectory: fixture.bundle)
        let quoted = arguments.map { "\"\($0)\"" }.joined(separator: ",")
        let program = """
            .process.args = [\(quoted)] | .process.terminal = false
            | .linux.uidMappings[0].hostID = \(Self.user) | .linux.gidMappings[0].hostID = \(Self.user) | \(change)
            """
        let config = fixture.bundle.appending("config.json")
        let changed = try await Program.system("jq").check(program, config.string).standardOutput
        try Files.writeAtomically(config, Array(changed.utf8), mode: 0o644)
        try await Program.system("chown").check(
            "-R", "\(Self.user):\(Self.user)", "\(scratch)/bundle", "\(scratch)/run")
    }

    /// - Parameters:
    ///   - before: what root does in the process that becomes the user's.
    ///   - program: another command line than the runtime's.
    private func asUser(
        _ fixture: OCIFixture, _ command: String, before: String = "true", program: String? = nil
    ) async throws -> Program.Output {
        let scratch = fixture.scratch.path
        let name = "berthtest"
        let runtime = "\(scratch)/programs/\(fixture.runtime.path.lastComponent?.string ?? "")"
        let script = """
            set -e
            for file in passwd group subuid subgid; do
                cp /etc/$file \(scratch)/run/etc-$file 2>/dev/null || : > \(scratch)/run/etc-$file
            done
            echo '\(name):x:\(Self.user):\(Self.user)::/:/bin/sh' >> \(scratch)/run/etc-passwd
            echo '\(name):x:\(Self.user):' >> \(scratch)/run/etc-group
            for file in subuid subgid; do echo '\(name):3000000:65536' >> \(scratch)/run/etc-$file; done
            for file in passwd group subuid subgid; do mount --bind \(scratch)/run/etc-$file /etc/$file; done
            \(before)
            exec setpriv --reuid \(Self.user) --regid \(Self.user) --clear-groups env XDG_RUNTIME_DIR=\(scratch)/run \
                \(program ?? "\(runtime) --root \(scratch)/run/state \(command)")
            """
        return try await Program.system("unshare").run("--mount", "--propagation", "private", "sh", "-c", script)
    }
}
