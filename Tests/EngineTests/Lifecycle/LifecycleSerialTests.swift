import Core
import LinuxKernel
import OCIRuntime
import OCISpec
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("Pods and containers, for real", .serialized) struct LifecycleSerialTests {
    @Test func aContainerRunsFromCreationToRemoval() async throws {
        try await EngineFixture.with { fixture in
            let before = try fixture.snapshot()
            let engine = fixture.engine
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            #expect(try engine.podSandbox(pod).state == .ready)
            #expect(try engine.podSandbox(pod).addresses == ["10.99.0.7"])
            let id = try await engine.createContainer(
                fixture.containerConfig("echo started; trap 'exit 3' TERM; while :; do sleep 0.05; done"), in: pod)
            #expect(try engine.container(id).state == .created)
            try await engine.startContainer(id)
            #expect(try engine.container(id).state.isRunning)
            try await eventually("the log") { fixture.log().contains("stdout F started") }

            let result = try await engine.execSync(["sh", "-c", "echo out; echo err >&2; exit 7"], in: id)
            #expect(result == ExecResult(stdout: Array("out\n".utf8), stderr: Array("err\n".utf8), exitCode: 7))

            try await engine.stopContainer(id, grace: .seconds(10))
            let exit = try #require(try engine.container(id).state.exit)
            #expect(exit.code == 3)
            #expect(exit.reason == "Error")
            #expect(exit.finishedAt >= exit.startedAt)
            try await engine.removeContainer(id)
            try await engine.stopPodSandbox(pod)
            #expect(try !engine.podSandbox(pod).state.isReady)
            try await engine.removePodSandbox(pod)
            #expect(throws: BerthError.self) { try engine.podSandbox(pod) }
            #expect(fixture.network.connected.withLock { $0.isEmpty })
            let leftovers = try fixture.leftovers(since: before)
            #expect(leftovers == [])
        }
    }

    @Test func theImagesCommandUserAndEnvironmentAreUsed() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            var config = fixture.containerConfig("")
            config.command = []
            let id = try await fixture.engine.createContainer(config, in: pod)
            try await fixture.engine.startContainer(id)
            try await eventually("the end") { try fixture.engine.container(id).state.exit != nil }
            #expect(try fixture.engine.container(id).state.exit?.code == 5)

            let user = try await fixture.engine.createContainer(
                fixture.containerConfig("id -u; id -G; echo $FROM_IMAGE; cat /etc/hostname; sleep 30", name: "u") {
                    $0.security.runAsUser = 65_534
                    $0.security.supplementalGroups = [77]
                }, in: pod)
            try await fixture.engine.startContainer(user)
            try await eventually("the output") { fixture.log("u").split(separator: "\n").count == 4 }
            let lines = fixture.log("u").split(separator: "\n").map { $0.split(separator: " ", maxSplits: 3)[3] }
            #expect(lines == ["65534", "65534 77", "yes", "\(pod.prefix(12))"])
            #expect(
                try fixture.engine.container(user).user
                    == ContainerUser(uid: 65_534, gid: 65_534, additionalGIDs: [65_534, 77]))
        }
    }

    @Test func repeatedCallsAnswerTheSame() async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            #expect(try await engine.runPodSandbox(fixture.podConfig()) == pod)
            let config = fixture.containerConfig("sleep 30")
            async let first = engine.createContainer(config, in: pod)
            async let second = engine.createContainer(config, in: pod)
            let (a, b) = try await (first, second)
            #expect(a == b)
            try await engine.startContainer(a)
            let error = try await #require(throws: BerthError.self) {
                try await engine.createContainer(config, in: pod)
            }
            #expect(error.code == .alreadyExists)
            let other = try await #require(throws: BerthError.self) {
                try await engine.runPodSandbox(fixture.podConfig("p") { $0.hostname = "other" })
            }
            #expect(other.code == .alreadyExists)
            for _ in 0..<2 {
                try await engine.stopContainer(a, grace: .zero)
                try await engine.removeContainer(a)
                try await engine.stopPodSandbox(pod)
                try await engine.removePodSandbox(pod)
            }
        }
    }

    @Test func theShortestGraceOfConcurrentStopsCounts() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("trap '' TERM; while :; do sleep 0.05; done", in: pod)
            let begin = ContinuousClock.now
            async let patient: Void = fixture.engine.stopContainer(id, grace: .seconds(60))
            try await Task.sleep(for: .milliseconds(50))
            async let hasty: Void = fixture.engine.stopContainer(id, grace: .milliseconds(200))
            // A status does not wait for either.
            #expect(try fixture.engine.container(id).state.isRunning)
            _ = try await (patient, hasty)
            #expect(ContinuousClock.now - begin < .seconds(20))
            #expect(try fixture.engine.container(id).state.exit?.code == 137)
        }
    }

    @Test func aStopThatIsGivenUpKillsNobody() async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("trap 'echo asked' TERM; while :; do sleep 0.05; done", in: pod)
            let stop = Task { try await engine.stopContainer(id, grace: .milliseconds(500)) }
            try await eventually("the signal") { fixture.log().contains("asked") }
            stop.cancel()
            await #expect(throws: CancellationError.self) { try await stop.value }
            try await Task.sleep(for: .milliseconds(700))
            #expect(try engine.container(id).state.isRunning)
            try await engine.stopContainer(id, grace: .milliseconds(100))
            #expect(try engine.container(id).state.exit?.code == 137)
        }
    }

    @Test func aProgramHasInstalledItsHandlersBeforeItIsAskedToEnd() async throws {
        try await EngineFixture.with { fixture in
            // Not the first process of a PID namespace, which the kernel protects from signals without a handler.
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig { $0.security.namespaces.pid = .pod })
            for round in 0..<5 {
                let script = "trap 'exit 3' HUP; while :; do sleep 0.02; done"
                let config = fixture.containerConfig(script, name: "c\(round)") {
                    $0.security.namespaces.pid = .pod
                    $0.stopSignal = 1
                }
                let id = try await fixture.engine.createContainer(config, in: pod)
                try await fixture.engine.startContainer(id)
                try await fixture.engine.stopContainer(id, grace: .seconds(10))
                #expect(try fixture.engine.container(id).state.exit?.code == 3)
            }
        }
    }

    @Test func aTimedOutCommandIsKilledWithItsChildren() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("sleep 100", in: pod)
            let error = try await #require(throws: BerthError.self) {
                try await fixture.engine.execSync(
                    // A child, one whose parent has ended, and one in a session of its own whose parent has ended too.
                    [
                        "sh", "-c",
                        "sleep 86399 & (sleep 86398 &) ; setsid sh -c '(setsid sleep 86396 &) ; exit' ; sleep 86397",
                    ], in: id, timeout: .milliseconds(500))
            }
            #expect(error.code == .deadlineExceeded)
            try await eventually("the children to be gone") {
                let table = try await fixture.engine.execSync(["ps"], in: id).stdout
                return !String(decoding: table, as: UTF8.self).contains("sleep 8639")
            }
        }
    }

    @Test func commandsLeaveNoCgroupOfTheirOwn() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("sleep 100", in: pod)
            let cgroup = Cgroup(host: fixture.engine.facts.cgroups, path: try fixture.engine.container(id).cgroup)
            for command in ["true", "sleep 50 &", "exit 3"] {
                _ = try await fixture.engine.execSync(["sh", "-c", command], in: id, timeout: .seconds(10))
            }
            try await eventually("the commands' cgroups to be gone") {
                try cgroup.directories.allSatisfy { directory in
                    try Files.list(directory.path).allSatisfy { !$0.hasPrefix("exec-") }
                }
            }
            // What a command left in the background runs on, as its container's.
            #expect(try cgroup.pids().count >= 2)
        }
    }

    @Test func tooMuchOutputOfACommandIsAnError() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("sleep 100", in: pod)
            let error = try await #require(throws: BerthError.self) {
                try await fixture.engine.execSync(["cat", "/dev/zero"], in: id, timeout: .seconds(60))
            }
            #expect(error.code == .resourceExhausted)
            let large = try await fixture.engine.execSync(
                ["dd", "if=/dev/zero", "bs=1M", "count=8"], in: id, timeout: .seconds(60))
            #expect(large.stdout.count == 8 << 20)
        }
    }

    @Test func containersOfAPodCanShareTheirProcesses() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig { $0.security.namespaces.pid = .pod })
            let config = { (script: String, name: String) in
                fixture.containerConfig(script, name: name) { $0.security.namespaces.pid = .pod }
            }
            let one = try await fixture.engine.createContainer(config("exec sleep 4321", "one"), in: pod)
            try await fixture.engine.startContainer(one)
            let two = try await fixture.engine.createContainer(config("sleep 30", "two"), in: pod)
            try await fixture.engine.startContainer(two)
            let table = String(decoding: try await fixture.engine.execSync(["ps"], in: two).stdout, as: UTF8.self)
            #expect(table.contains("sleep 4321"))
            try await fixture.engine.stopContainer(one, grace: .zero)
            #expect(try await fixture.engine.execSync(["true"], in: two).exitCode == 0)
        }
    }

    @Test func limitsAreSetAndChanged() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.engine.createContainer(
                fixture.containerConfig("sleep 30") {
                    var limits = LinuxResources()
                    limits.memoryLimit = 64 << 20
                    limits.cpuShares = 512
                    limits.oomScoreAdjustment = -998
                    $0.resources = limits
                }, in: pod)
            try await fixture.engine.startContainer(id)
            let cgroup = Cgroup(host: fixture.engine.facts.cgroups, path: try fixture.engine.container(id).cgroup)
            let file = cgroup.isUnified("memory") ? "memory.max" : "memory.limit_in_bytes"
            #expect(try cgroup.read("memory", file) == "\(64 << 20)")
            func swap() -> String? {
                (try? cgroup.read("memory", "memory.swap.max"))
                    ?? (try? cgroup.read("memory", "memory.memsw.limit_in_bytes"))
            }
            // Of cgroup2 swap alone, of v1 with memory; where it is not accounted, neither.
            #expect([nil, "0", "\(64 << 20)"].contains(swap()))
            var update = LinuxResources()
            update.memoryLimit = 32 << 20
            try await fixture.engine.updateContainerResources(id, to: update)
            #expect(try cgroup.read("memory", file) == "\(32 << 20)")
            #expect([nil, "0", "\(32 << 20)"].contains(swap()))
            update.memoryLimit = 96 << 20
            try await fixture.engine.updateContainerResources(id, to: update)
            #expect([nil, "0", "\(96 << 20)"].contains(swap()))
            update.memoryLimit = 32 << 20
            try await fixture.engine.updateContainerResources(id, to: update)
            let limited = try fixture.engine.container(id)
            #expect(limited.resources.cpuShares == 512)
            let information = try fixture.engine.information(of: limited)["info"] ?? ""
            let told = try StrictJSON.decode(ToldLimits.self, from: Array(information.utf8), what: "info")
            #expect(told.runtimeSpec.linux?.resources?.memory?.limit == 32 << 20)
            #expect(told.runtimeSpec.linux?.resources?.cpu?.shares == 512)
            let statistics = await fixture.engine.statistics(of: try fixture.engine.container(id))
            #expect(statistics.usage?.memoryAvailable ?? 0 <= 32 << 20)
            #expect(statistics.usage?.processes ?? 0 >= 1)
            let whole = await fixture.engine.statistics(of: try fixture.engine.podSandbox(pod))
            #expect(whole.containers.map(\.id) == [id])
        }
    }

    @Test func aPodsLimitsAreNotedWhereTheKernelRefusesThem() async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            _ = try await fixture.start("sleep 100", in: pod)
            var resources = LinuxResources()
            // Less than what is in use.
            resources.memoryLimit = 5
            var overhead = LinuxResources()
            overhead.memoryLimit = 10
            try await engine.updatePodSandboxResources(pod, overhead: overhead, resources: resources)
            let information = try #require(try engine.information(of: engine.podSandbox(pod))["info"])
            #expect(information.contains("\"resources\":{\"linux\":{"), "\(information)")
            #expect(information.contains("\"memory_limit_in_bytes\":5"))
            #expect(information.contains("\"memory_limit_in_bytes\":10"))
            #expect(information.contains("\"netNamespaceClosed\":false"))
            #expect(information.contains("\"cniResult\":{"))
            #expect(information.contains("\"type\":\"network\""))
            // The file that the namespace was pinned under stays until the pod is removed.
            try await engine.stopPodSandbox(pod)
            let stopped = try #require(try engine.information(of: engine.podSandbox(pod))["info"])
            #expect(stopped.contains("\"netNamespaceClosed\":true"), "\(stopped)")
            #expect(!stopped.contains("\"type\":\"network\""), "\(stopped)")
        }
    }

    @Test func theLogIsReopenedAfterARotation() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("while :; do echo tick; sleep 0.02; done", in: pod)
            try await eventually("the log") { fixture.log().contains("tick") }
            try Syscall.renameat2(
                fixture.scratch.appending("logs/c.log"), to: fixture.scratch.appending("logs/old.log"))
            try await fixture.engine.reopenLog(of: id)
            try await eventually("the new log") { fixture.log().contains("tick") }
        }
    }

    @Test func noLineIsLostOrDoubledByRotationsUnderLoad() async throws {
        try await EngineFixture.with { fixture in
            let lines = 150_000
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("seq 1 \(lines); sleep 100", in: pod)
            let folder = fixture.scratch.appending("logs")
            var rotations = 0
            func ends(_ name: String) throws -> Bool {
                try Files.readText(folder.appending(name), limit: 64 << 20).hasSuffix(" F \(lines)")
            }
            var ended = false
            while rotations < 400, !ended {
                let old = "old.\(rotations)"
                try Syscall.renameat2(folder.appending("c.log"), to: folder.appending(old))
                try await fixture.engine.reopenLog(of: id)
                rotations += 1
                ended = try ends(old)
                try await Task.sleep(for: .milliseconds(2))
            }
            if !ended { try await eventually("the last line", within: .seconds(60)) { try ends("c.log") } }
            #expect(rotations > 2)
            var next = 1
            for name in (0..<rotations).map({ "old.\($0)" }) + ["c.log"] {
                for line in try Files.readText(folder.appending(name), limit: 64 << 20).split(separator: "\n") {
                    try #require(line.hasSuffix(" stdout F \(next)"), "\(name): \(line) where \(next) was due")
                    next += 1
                }
            }
            #expect(next == lines + 1)
        }
    }

    @Test func eventsComeInOrder() async throws {
        try await EngineFixture.with { fixture in
            let events = fixture.engine.events()
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("exit 0", in: pod)
            var kinds: [ContainerEvent.Kind] = []
            for try await event in events where event.containerID == id {
                kinds.append(event.kind)
                if event.kind == .stopped { break }
            }
            #expect(kinds.first == .created)
            #expect(kinds.last == .stopped)
        }
    }
}

/// A part of what a verbose status tells.
private struct ToldLimits: Decodable {
    var runtimeSpec: RuntimeSpec
}
