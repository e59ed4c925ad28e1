import Core
import LinuxKernel
import OCIRuntime
import SystemPackage
import TestSupport
import Testing

@testable import Engine

/// Debian's runc, or crun under pure cgroup v2, as a runtime handler beside our own.
@Suite("Other OCI runtimes as handlers", .serialized) struct RuntimeHandlerSerialTests {
    /// Debian's crun refuses hosts that have both versions of cgroups.
    private static let programs: [String: FilePath] =
        (try? HostFacts.detect())?.cgroups.layout == .unified
        ? ["crun": "/usr/bin/crun"] : ["runc": "/usr/sbin/runc"]

    private func with(_ body: (EngineFixture, String) async throws -> Void) async throws {
        for (name, path) in Self.programs where Files.exists(path) {
            try await EngineFixture.with(configure: { $0.runtimes = [name: path] }) { try await body($0, name) }
        }
    }

    @Test func aContainerRunsFromCreationToRemoval() async throws {
        try await with { fixture, handler in
            let engine = fixture.engine
            let before = try fixture.snapshot()
            let pod = try await engine.runPodSandbox(fixture.podConfig(), runtimeHandler: handler)
            let id = try await engine.createContainer(
                fixture.containerConfig("echo started; trap 'exit 3' TERM; while :; do sleep 0.05; done"), in: pod)
            #expect(try engine.container(id).state == .created)
            try await engine.startContainer(id)
            #expect(try engine.container(id).state.isRunning)
            try await eventually("the log of \(handler)") { fixture.log().contains("stdout F started") }
            let result = try await engine.execSync(
                ["sh", "-c", "echo out; echo err >&2; cat /etc/hostname; exit 7"], in: id, timeout: .seconds(20))
            #expect(String(decoding: result.stdout, as: UTF8.self) == "out\n\(pod.prefix(12))\n")
            #expect(String(decoding: result.stderr, as: UTF8.self) == "err\n")
            #expect(result.exitCode == 7)
            try await engine.stopContainer(id, grace: .seconds(10))
            #expect(try engine.container(id).state.exit?.code == 3, "\(handler)")
            let stubborn = try await fixture.start("trap '' TERM; sleep 60", name: "stubborn", in: pod)
            try await engine.stopContainer(stubborn, grace: .milliseconds(100))
            #expect(try engine.container(stubborn).state.exit?.code == 137)
            try await engine.removePodSandbox(pod)
            #expect(try fixture.leftovers(since: before) == [], "\(handler)")
        }
    }

    @Test func whatTheRuntimeSaysOfAFailureIsTheError() async throws {
        try await with { fixture, handler in
            let engine = fixture.engine
            let pod = try await engine.runPodSandbox(fixture.podConfig(), runtimeHandler: handler)
            let id = try await engine.createContainer(
                fixture.containerConfig("") { $0.command = ["/no/such/program"] }, in: pod)
            let error = try await #require(throws: BerthError.self) { try await engine.startContainer(id) }
            #expect("\(error)".contains("/no/such/program"), "\(error)")
            #expect(try engine.container(id).state.exit != nil)
            try await engine.removeContainer(id)
            // One that was never started goes too.
            let unstarted = try await engine.createContainer(fixture.containerConfig("true", name: "u"), in: pod)
            try await engine.removeContainer(unstarted)
        }
    }

    @Test func aTimedOutCommandIsKilledWithWhatHasLeftItsTree() async throws {
        try await with { fixture, handler in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig(), runtimeHandler: handler)
            let id = try await fixture.start("sleep 100", in: pod)
            let error = try await #require(throws: BerthError.self) {
                try await fixture.engine.execSync(
                    // One whose parent has ended, and one in a session of its own whose parent has ended too.
                    ["sh", "-c", "(sleep 86398 &) ; setsid sh -c '(setsid sleep 86396 &) ; exit' ; sleep 86397"],
                    in: id, timeout: .seconds(1))
            }
            #expect(error.code == .deadlineExceeded)
            try await eventually("what the command of \(handler) left to be gone") {
                let table = try await fixture.engine.execSync(["ps"], in: id).stdout
                return !String(decoding: table, as: UTF8.self).contains("sleep 8639")
            }
            // The container's own program was not the command's.
            #expect(try fixture.engine.container(id).state.isRunning)
        }
    }

    @Test func containersAreFoundAgainAfterARestart() async throws {
        try await with { fixture, handler in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig(), runtimeHandler: handler)
            let id = try await fixture.start("sleep 60", in: pod)
            try await fixture.restart()
            #expect(try fixture.engine.container(id).state.isRunning)
            #expect(try await fixture.engine.execSync(["true"], in: id).exitCode == 0)
            try await fixture.engine.stopContainer(id, grace: .zero)
            #expect(try fixture.engine.container(id).state.exit?.code == 137)
        }
    }

    @Test func handlersAreListedWithWhatTheyCanDoAndOthersAreRefused() async throws {
        try await with { fixture, handler in
            let handlers = await fixture.engine.status().handlers.map(\.name)
            #expect(handlers == ["", "berth", handler])
            let error = try await #require(throws: BerthError.self) {
                _ = try await fixture.engine.runPodSandbox(fixture.podConfig(), runtimeHandler: "kata")
            }
            #expect("\(error)".contains("known are the empty one and berth, \(handler)"))
        }
        await #expect(throws: BerthError.self) {
            try await EngineFixture.with(configure: { $0.runtimes = ["x": "/etc/passwd"] }) { _ in }
        }
    }

    @Test func hooksOfDirectoriesRunAtTheirStages() async throws {
        try await EngineFixture.with(configure: {
            $0.hookDirectories = [$0.root.removingLastComponent().appending("hooks")]
        }) { fixture in
            let log = fixture.scratch.appending("hooks.log")
            for stage in ["createRuntime", "poststart", "poststop"] {
                let script = "cat > /dev/null; echo \(stage) >> \(log)"
                try fixture.scratch.file(
                    "hooks/\(stage).json",
                    #"{"version": "1.0.0", "hook": {"path": "/bin/sh", "args": ["sh", "-c", "\#(script)"]}, "#
                        + #""when": {"always": true}, "stages": ["\#(stage)"]}"#)
            }
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.start("sleep 60", in: pod)
            try await fixture.engine.stopContainer(id, grace: .zero)
            let lines = try Files.readText(log).split(separator: "\n").map(String.init)
            #expect(lines == ["createRuntime", "poststart", "poststop"])

            try fixture.scratch.file(
                "hooks/poststart.json",
                #"{"version": "1.0.0", "hook": {"path": "/bin/false"}, "when": {"always": true}, "stages": ["poststart"]}"#
            )
            let failing = try await fixture.engine.createContainer(
                fixture.containerConfig("sleep 60", name: "failing"), in: pod)
            let error = try await #require(throws: BerthError.self) { try await fixture.engine.startContainer(failing) }
            #expect("\(error)".contains("poststart hook #0: /bin/false"))
            #expect(try fixture.engine.container(failing).state.exit?.reason == "StartError")
        }
    }
}
