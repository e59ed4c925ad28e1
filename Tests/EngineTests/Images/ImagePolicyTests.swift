import Core
import Images
import LinuxKernel
import OCISpec
import Store
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("Image policy") struct ImagePolicyTests {
    @Test func shortNamesBelongWhereTheConfigurationSays() throws {
        var policy = ImagePolicy()
        #expect(try policy.reference("box").description == "docker.io/library/box")
        policy.shortNameRegistry = "quay.io"
        try policy.validate()
        #expect(try policy.reference("org/box:1").description == "quay.io/org/box:1")
        #expect(try policy.reference("docker.io/library/box").domain == "docker.io")
        #expect(try policy.reference("localhost:5000/box").domain == "localhost:5000")
        policy.shortNameRegistry = nil
        let error = #expect(throws: BerthError.self) { _ = try policy.reference("box:1") }
        #expect(error?.code == .invalidArgument)
        #expect(error?.description.contains("\"box:1\" names no registry") == true)
        #expect(try policy.reference("docker.io/box").domain == "docker.io")
        policy.shortNameRegistry = "not a host"
        #expect(throws: BerthError.self) { try policy.validate() }
    }

    @Test(arguments: [
        ("a.example/pause:3", "a.example/pause:3", true), ("a.example/pause:3", "a.example/pause:31", false),
        ("a.example/pause*", "a.example/pause:31", true), ("*pause*", "a.example/pause:31", true),
        ("*pause*", "a.example/box", false), ("a.example/*", "b.example/a.example/x", false),
    ])
    func pinnedNamesMayHaveStars(pattern: String, name: String, isPinned: Bool) throws {
        var policy = ImagePolicy()
        policy.pinned = [pattern]
        try policy.validate()
        #expect(policy.isPinned(name) == isPinned)
    }

    @Test(arguments: ["", "*", "**", "a*b", "*a"])
    func wrongPatternsAreRefused(pattern: String) {
        var policy = ImagePolicy()
        policy.pinned = [pattern]
        let error = #expect(throws: BerthError.self) { try policy.validate() }
        #expect(error?.description.contains("pinned") == true)
    }

    @Test func aLoginIsForTheRegistryThatItNames() async throws {
        let fixture = try await ImageServiceFixture()
        for (server, reference, isOwn) in [
            ("https://index.docker.io/v1/", "box", true), ("registry.example:5000", "registry.example:5000/box", true),
            ("https://registry.example/v2/", "registry.example/a/b@sha256:\(String(repeating: "0", count: 64))", true),
            ("registry.example", "registry.example:5000/box", false),
            ("https://index.docker.io/v1/", "quay.io/box", false),
        ] {
            #expect(try fixture.images.isRegistry(server, of: reference) == isOwn, "\(server) \(reference)")
        }
    }

    @Test func everyVerifierHasToAgreeBeforeABlobIsFetched() async throws {
        let scratch = try ScratchDirectory("verifiers")
        let source = try await ImageFixture(below: scratch.path)
        let registry = try await TestRegistry(below: scratch.path)
        defer { registry.stop() }
        try await registry.push(source, as: "box:v1")
        let name = "127.0.0.1:\(registry.port)/box:v1"
        let verifiers = try scratch.directory("bin")
        var policy = ImagePolicy()
        var verification = ImageVerification(directory: verifiers)
        verification.timeout = .seconds(1)
        policy.verification = verification
        policy.pinned = ["127.0.0.1:*"]
        let root = try scratch.directory("root")
        let database = try Store.Database(path: root.appending("meta.db"))
        let client = RegistryClient()
        let images = try ImageService(root: root, database: database, registry: client, policy: policy)

        func script(_ file: String, _ text: String) throws {
            try scratch.file("bin/\(file)", "#!/bin/sh\n\(text)\n", mode: 0o755)
        }
        try script("a-good", "echo \"$@\" > \(scratch.path)/arguments; cat > \(scratch.path)/input; echo fine")
        try script("b-bad", "echo not signed by us; exit 4")
        let refused = await #expect(throws: BerthError.self) { _ = try await images.pull(name) }
        #expect(refused?.code == .permissionDenied)
        #expect(refused?.description.contains("refused by verifier b-bad") == true, "\(refused?.description ?? "")")
        #expect(refused?.description.contains("not signed by us") == true)
        // Its document alone came.
        #expect(try images.storage.blobs.list().count <= 1)
        #expect(try await images.list().isEmpty)

        try script("b-bad", "sleep 100")
        let late = await #expect(throws: BerthError.self) { _ = try await images.pull(name) }
        #expect(late?.code == .permissionDenied)
        #expect(late?.description.contains("did not end") == true, "\(late?.description ?? "")")

        try script("b-bad", "exit 0")
        let image = try await images.pull(name)
        #expect(image.isPinned)
        let arguments = try Files.readText(scratch.path.appending("arguments"))
        #expect(arguments.hasPrefix("-name \(name) -digest sha256:"))
        #expect(arguments.hasSuffix("-stdin-media-type application/vnd.oci.descriptor.v1+json"))
        let descriptor = try StrictJSON.decode(
            Descriptor.self, from: Files.read(scratch.path.appending("input"), limit: 4096), what: "input")
        #expect(image.digests.first?.hasSuffix("\(descriptor.digest)") == true)
        // Where its blobs came from is known to who pushes them elsewhere.
        let labels = try await images.content.info(image.id, namespace: "k8s.io").labels
        #expect(labels["containerd.io/distribution.source.127.0.0.1:\(registry.port)"] == "box")
        await images.shutdown()
        try database.close()
    }
}
