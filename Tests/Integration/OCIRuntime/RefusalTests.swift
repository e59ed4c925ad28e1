internal import LinuxKernel
internal import TestSupport
internal import Testing

@Suite struct OCIRefusalTests {
    @Test(arguments: [
        (".process.cwd = \"tmp\"", "process.cwd"),
        ("del(.root)", "root"),
        (".ociVersion = \"one\"", "ociVersion"),
        (".linux.namespaces += [{\"type\": \"quantum\"}]", "quantum"),
        (".linux.uidMappings = [{\"containerID\": 0, \"hostID\": 1000, \"size\": 1}]", "uidMappings"),
        (".process.args = []", "process.args"),
        (".process.rlimits = [{\"type\": \"RLIMIT_NONE\", \"soft\": 1, \"hard\": 1}]", "RLIMIT_NONE"),
        (".mounts += [{\"destination\": \"/tmp\", \"type\": \"nosuchfs\", \"source\": \"none\"}]", "nosuchfs"),
        (".process.args = [\"/no/such/program\"]", "/no/such/program"),
    ])
    func brokenConfigurationNamesTheFieldAndLeavesNothing(_ change: String, _ word: String) async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await fixture.configure(["/bin/true"], change)
            let before = try HostSnapshot(of: fixture.scratch.path, mark: fixture.mark)
            let output = try await fixture.run()
            #expect(output.code != 0)
            #expect(output.standardError.contains(word), "\(output)")
            let left = try HostSnapshot(of: fixture.scratch.path, mark: fixture.mark).added(since: before)
            #expect(left.filter { !$0.hasSuffix("/state") } == [])
        }
    }

    /// In the words that people look for.
    @Test func aMountThatFailsIsToldAsRuncTellsIt() async throws {
        try await OCIFixture.with(.berth) { fixture in
            let output = try await fixture.output(
                of: ["/bin/true"],
                ".mounts += [{\"destination\": \"/data\", \"type\": \"bind\", \"source\": \"/no/such\", \"options\": [\"bind\"]}]"
            )
            #expect(output.code == 1)
            #expect(
                output.standardError.contains(
                    "berth-oci run failed: unable to start container process: error during container init: "
                        + "error mounting: bind /no/such at /data: no such file or directory"), "\(output)")
        }
    }

    @Test func configurationThatIsNoJSONIsRefused() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try fixture.scratch.file("bundle/config.json", "{\"ociVersion\": \"1.0.2\", \"ociVersion\": ")
            let output = try await fixture.run()
            #expect(output.code == 1)
            #expect(output.standardError.contains("config.json"), "\(output)")
        }
    }

    /// The specification: "MUST be logged as a warning", and no failure.
    @Test func unknownCapabilitiesAreToldAndNoError() async throws {
        try await OCIFixture.with(.berth) { fixture in
            let output = try await fixture.output(
                of: ["/bin/true"], ".process.capabilities.bounding += [\"CAP_NONE_SUCH\"]")
            #expect(output.code == 0)
            #expect(
                output.standardError.contains("ignoring unknown or unavailable capabilities: [CAP_NONE_SUCH]"),
                "\(output)")
        }
    }

    @Test func unknownVerbGetsTheNearest() async throws {
        for arguments in [["strat", "c1"], ["strat", "-h"]] {
            let output = try await Program.ours("berth-oci").run(arguments)
            #expect(output.code == 1)
            #expect(output.standardError.contains("did you mean \"start\"?"), "\(output)")
        }
    }

    @Test func unknownFlagGetsTheNearest() async throws {
        let output = try await Program.ours("berth-oci").run("run", "--bundel", "/x", "c1")
        #expect(output.code != 0)
        #expect(output.standardError.contains("--bundle"), "\(output)")
    }

    /// A user of runc looks for them there, wherever --help stands.
    @Test(arguments: [
        ["--help"], ["run", "--help"], ["exec", "-h"], ["delete", "c1", "--help"], ["create", "--bundle", "/x", "-h"],
        ["help", "update"],
    ])
    func helpOfEveryVerbTellsTheGlobalOptions(_ arguments: [String]) async throws {
        let output = try await Program.ours("berth-oci").run(arguments)
        #expect(output.code == 0)
        #expect(output.standardOutput.hasPrefix("NAME:\n   berth-oci"), "\(output)")
        for option in ["--root", "--log ", "--log-format", "--debug", "--systemd-cgroup", "--rootless", "--criu"] {
            #expect(output.standardOutput.contains(option), "\(option) in \(output)")
        }
    }
}
