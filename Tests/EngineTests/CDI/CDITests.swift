import Core
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("Container Device Interface") struct CDITests {
    private static let json = """
        {"cdiVersion": "0.6.0", "kind": "example.com/thing",
         "containerEdits": {"env": ["THING=common"]},
         "devices": [
           {"name": "zero", "containerEdits": {"deviceNodes": [{"path": "/dev/thing0", "hostPath": "/dev/zero"}],
             "additionalGids": [77]}},
           {"name": "full", "containerEdits": {"env": ["FULL=1"],
             "mounts": [{"hostPath": "/etc/hostname", "containerPath": "/thing/name", "options": ["ro", "bind"]}],
             "hooks": [{"hookName": "createRuntime", "path": "/bin/true", "args": ["true"]}]}}]}
        """

    private static let yaml = """
        cdiVersion: "0.6.0"
        kind: example.com/thing
        devices:
        - name: zero
          containerEdits:
            env: [LATER=1]
        """

    private func registry(_ body: (FilePath, FilePath) throws -> Void = { _, _ in }) throws -> (
        CDIRegistry, ScratchDirectory
    ) {
        let scratch = try ScratchDirectory("cdi")
        let (first, second) = (scratch.appending("a"), scratch.appending("b"))
        for directory in [first, second] { try Files.makeDirectories(directory) }
        try Files.writeAtomically(first.appending("thing.json"), Array(Self.json.utf8))
        try body(first, second)
        return (CDIRegistry(directories: [first, second, scratch.appending("missing")]), scratch)
    }

    @Test func commonEditsComeOnceBeforeThoseOfTheDevices() throws {
        let (registry, scratch) = try registry()
        defer { _ = scratch }
        let edits = try registry.edits(for: ["example.com/thing=zero", "example.com/thing=full"])
        #expect(edits.env == ["THING=common", "FULL=1"])
        #expect(edits.additionalGids == [77])
        let device = try #require(try edits.hostDevices().first)
        #expect(device.path == "/dev/thing0")
        #expect((device.kind, device.major, device.minor) == ("c", 1, 5))
        #expect(device.access == "rwm")
        #expect(try edits.specificationHooks()?.createRuntime?.first?.path == "/bin/true")
    }

    @Test func aLaterDirectoryWins() throws {
        let (registry, scratch) = try registry { _, second in
            try Files.writeAtomically(second.appending("thing.yaml"), Array(Self.yaml.utf8))
        }
        defer { _ = scratch }
        #expect(try registry.edits(for: ["example.com/thing=zero"]).env == ["LATER=1"])
    }

    @Test func aDeviceThatTwoFilesOfOneDirectoryHaveIsRefused() throws {
        let (registry, scratch) = try registry { first, _ in
            try Files.writeAtomically(first.appending("thing.yaml"), Array(Self.yaml.utf8))
        }
        defer { _ = scratch }
        #expect(throws: BerthError.self) { try registry.edits(for: ["example.com/thing=zero"]) }
        #expect(throws: Never.self) { try registry.edits(for: ["example.com/thing=full"]) }
    }

    @Test func aMissingDeviceIsNamedWithTheFilesThatCouldNotBeRead() throws {
        let (registry, scratch) = try registry { first, _ in
            try Files.writeAtomically(first.appending("broken.json"), Array("{".utf8))
        }
        defer { _ = scratch }
        let error = #expect(throws: BerthError.self) { try registry.edits(for: ["example.com/thing=none"]) }
        #expect(error?.description.contains("example.com/thing=none") == true)
        #expect(error?.description.contains("broken.json") == true)
    }

    @Test(arguments: [
        "", "thing", "example.com/thing", "example.com/thing=", "/thing=a", "a/b=c d", "a/b/c=d", "ü/b=c",
    ])
    func aNameOfAnotherFormIsRefused(name: String) {
        #expect(throws: BerthError.self) { try CDIRegistry.parse(name) }
    }

    @Test func annotationsNameDevicesToo() {
        var config = ContainerConfig(metadata: .init(name: "c"), image: .init(image: "i"))
        config.cdiDevices = ["a/b=1"]
        config.annotations = ["cdi.k8s.io/plugin": "a/b=2, a/b=1", "other": "a/b=3"]
        #expect(CDIRegistry.names(config) == ["a/b=1", "a/b=2"])
    }

    @Test func editsAreInTheSpecification() throws {
        let (registry, scratch) = try registry()
        defer { _ = scratch }
        var fixture = SpecFixture()
        fixture.config.environment = [EnvironmentVariable(name: "THING", value: "own")]
        fixture.cdi = try registry.edits(for: ["example.com/thing=zero", "example.com/thing=full"])
        let spec = try fixture.build()
        #expect(spec.process?.env?.contains("THING=common") == true)
        #expect(spec.process?.user?.additionalGids?.contains(77) == true)
        #expect(spec.mounts?.contains { $0.destination == "/thing/name" && $0.source == "/etc/hostname" } == true)
        #expect(spec.hooks?.createRuntime?.count == 1)
    }
}
