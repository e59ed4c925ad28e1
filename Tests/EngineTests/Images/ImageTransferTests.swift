import Core
import Foundation
import Images
import Store
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("Pull, import and export") struct ImageTransferTests {
    @Test func pullsByTagAndByDigest() async throws {
        let fixture = try await ImageServiceFixture()
        let source = try await ImageFixture(below: fixture.scratch.path)
        let registry = try await TestRegistry(below: fixture.scratch.path)
        defer { registry.stop() }
        try await registry.push(source, as: "some/box:v1")
        let name = "127.0.0.1:\(registry.port)/some/box"

        let image = try await fixture.images.pull("\(name):v1")
        #expect(image.tags == ["\(name):v1"])
        let digest = try #require(image.digests.first)
        #expect(digest.hasPrefix("\(name)@sha256:"))
        #expect(image.config.config?.cmd == ["/bin/sh"])
        let layers = try await fixture.images.layerDirectories(of: "\(name):v1")
        #expect(layers.count == 2)

        let again = try await fixture.images.pull(digest)
        #expect(again.id == image.id)
        #expect(try await fixture.images.list().count == 1)
        #expect(try await fixture.images.leases.list(namespace: "k8s.io").isEmpty)

        try await fixture.restart()
        #expect(try await fixture.images.status(of: "\(name):v1")?.id == image.id)
        try await fixture.images.remove("\(name):v1")
        #expect(try fixture.blobs == 0)
        #expect(try fixture.layers == [])
    }

    @Test func aPullTellsOfItsBlobs() async throws {
        let fixture = try await ImageServiceFixture()
        let source = try await ImageFixture(below: fixture.scratch.path)
        let registry = try await TestRegistry(below: fixture.scratch.path)
        defer { registry.stop() }
        try await registry.push(source, as: "some/box:v1")
        let name = "127.0.0.1:\(registry.port)/some/box:v1"
        for isThere in [false, true] {
            let events = fixture.images.events.subscribe()
            _ = try await fixture.images.pull(name)
            var states: [Digest: [PullProgress.State]] = [:]
            for try await event in events {
                guard case .imagePull(let pulled, let progress) = event.payload else { break }
                #expect(event.topic == "/images/pull")
                #expect(event.namespace == "k8s.io")
                #expect(pulled == name)
                #expect((0...progress.descriptor.size).contains(progress.received))
                if progress.state == .done { #expect(progress.received == progress.descriptor.size) }
                states[progress.descriptor.digest, default: []].append(progress.state)
            }
            #expect(states.count == 3)
            for (digest, states) in states {
                #expect(states.first == .waiting, "\(digest)")
                // The config is fetched before the others and looked at again with them.
                #expect([.done, .exists].contains(states.last), "\(digest): \(states)")
                #expect(states.contains(.downloading) != isThere, "\(digest): \(states)")
            }
        }
    }

    @Test func aDamagedBlobIsNeverServedAndFetchedAgain() async throws {
        let fixture = try await ImageServiceFixture()
        let source = try await ImageFixture(below: fixture.scratch.path)
        let registry = try await TestRegistry(below: fixture.scratch.path)
        defer { registry.stop() }
        try await registry.push(source, as: "some/box:v1")
        let name = "127.0.0.1:\(registry.port)/some/box:v1"
        let image = try await fixture.images.pull(name)
        let blobs = fixture.images.storage.blobs
        #expect(try await blobs.verifyAll().damaged.isEmpty)
        for blob in try blobs.list() {
            let path = blobs.path(of: blob.digest).string
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            // A bit that the disk has lost.
            var damaged = bytes
            damaged[damaged.count / 2] ^= 4
            try FileManager.default.removeItem(atPath: path)
            try damaged.write(to: URL(fileURLWithPath: path))
            let found = try await blobs.verifyAll()
            #expect(found.damaged.map(\.digest) == [blob.digest])
            #expect(!blobs.contains(blob.digest))
            try await fixture.restart()
            // Not there for a kubelet, which pulls it again then.
            #expect(try await fixture.images.status(of: name) == nil, "\(blob.digest)")
            let again = try await fixture.images.pull(name)
            #expect(again.id == image.id)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
        }
        #expect(try await blobs.verifyAll().damaged.isEmpty)
        try await fixture.images.remove(name)
        #expect(try fixture.blobs == 0)
    }

    @Test func aLayerThatIsFoundDamagedWhenItIsUnpackedIsNamed() async throws {
        let fixture = try await ImageServiceFixture()
        let source = try await ImageFixture(below: fixture.scratch.path)
        _ = try await fixture.images.importArchive(
            at: FilePath(source.layout), baseName: "example.test/box", unpack: false)
        let blobs = fixture.images.storage.blobs
        let largest = try #require(try blobs.list().max { $0.size < $1.size })
        let path = blobs.path(of: largest.digest).string
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[bytes.count / 2] ^= 4
        try FileManager.default.removeItem(atPath: path)
        try bytes.write(to: URL(fileURLWithPath: path))
        let error = await #expect(throws: BerthError.self) { try await fixture.images.unpack("example.test/box:v1") }
        #expect(error?.code == .dataLoss, "\(String(describing: error))")
        #expect(error.map { "\($0)".contains("\(largest.digest) is damaged") } == true, "\(String(describing: error))")
        #expect(!blobs.contains(largest.digest))
        #expect(try fixture.layers == [])
    }

    @Test func theSameImageAtOnceIsPulledOnce() async throws {
        let fixture = try await ImageServiceFixture()
        let source = try await ImageFixture(below: fixture.scratch.path)
        let registry = try await TestRegistry(below: fixture.scratch.path)
        defer { registry.stop() }
        try await registry.push(source, as: "box:v1")
        let name = "127.0.0.1:\(registry.port)/box:v1"
        let images = fixture.images
        let counter = Counter()
        let ids = try await withThrowingTaskGroup(of: Digest.self) { group in
            for _ in 0..<5 {
                group.addTask {
                    try await images.pull(name) { if case .done = $0.state { counter.add() } }.id
                }
            }
            return try await group.reduce(into: Set<Digest>()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
        #expect(counter.value == 3, "config and two layers, once each")
        #expect(try fixture.layers.count == 2)
    }

    @Test func aPullThatFailsLeavesNothing() async throws {
        let fixture = try await ImageServiceFixture()
        let registry = try await TestRegistry(below: fixture.scratch.path)
        defer { registry.stop() }
        let error = await #expect(throws: BerthError.self) {
            try await fixture.images.pull("127.0.0.1:\(registry.port)/absent:v1")
        }
        #expect(error?.code == .notFound)
        #expect(try await fixture.images.list().isEmpty)
        #expect(try await fixture.images.leases.list(namespace: "k8s.io").isEmpty)
        #expect(try fixture.blobs == 0)
    }

    @Test func importsWhatOthersWriteAndExportsWhatOthersRead() async throws {
        let fixture = try await ImageServiceFixture()
        let source = try await ImageFixture(below: fixture.scratch.path)
        let docker = fixture.scratch.path.appending("docker.tar")
        try await Command.run(
            "skopeo",
            ["copy", "--insecure-policy", "oci:\(source.layout):v1", "docker-archive:\(docker):example.test/box:v1"])

        let fromLayout = try await fixture.images.importArchive(
            at: FilePath(source.layout), baseName: "example.test/layout")
        let fromTar = try await fixture.images.importArchive(at: FilePath(source.archive), baseName: "example.test/tar")
        let fromDocker = try await fixture.images.importArchive(at: docker)
        #expect(fromLayout.first?.id == fromTar.first?.id)
        #expect(fromLayout.first?.tags.contains("example.test/layout:v1") == true)
        #expect(fromDocker.map(\.tags).first?.contains("example.test/box:v1") == true)
        #expect(try fixture.layers.count == 2, "all three have the same layers")

        let exported = fixture.scratch.path.appending("out.tar")
        let file = try FileDescriptor.open(exported, .writeOnly, options: [.create], permissions: [.ownerReadWrite])
        try await fixture.images.export(["example.test/tar:v1"], to: file)
        try file.close()
        let inspected = try await Command.run("skopeo", ["inspect", "--config", "oci-archive:\(exported)"])
        #expect(inspected.contains("PATH=/bin"))
    }

    @Test func anArchiveThatLacksABlobLeavesNothing() async throws {
        let fixture = try await ImageServiceFixture()
        let source = try await ImageFixture(below: fixture.scratch.path)
        let folder = "\(source.layout)/blobs/sha256"
        let largest = try await Command.run("sh", ["-c", "ls -S \(folder) | head -1 | tr -d '\\n'"])
        try FileManager.default.removeItem(atPath: "\(folder)/\(largest)")
        let error = await #expect(throws: BerthError.self) {
            try await fixture.images.importArchive(at: FilePath(source.layout), baseName: "example.test/box")
        }
        #expect(error.map { "\($0)".contains(largest) } == true, "\(error.map { "\($0)" } ?? "")")
        #expect(try await fixture.images.list().isEmpty)
        for _ in 0..<100 where try fixture.blobs > 0 { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try fixture.blobs == 0)
    }

    @Test func aTagThatMovesFreesWhatItStoodFor() async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/box:1", text: "one")
        let second = try await fixture.build("docker.io/library/box:1", text: "two")
        for _ in 0..<100 where try fixture.blobs > 3 { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try fixture.blobs == 3)
        #expect(try await fixture.images.list().map(\.id) == [second.id])
    }

    @Test func aBrokenArchiveLeavesNothing() async throws {
        let fixture = try await ImageServiceFixture()
        let path = fixture.scratch.path.appending("broken.tar")
        try Data(repeating: 7, count: 4096).write(to: URL(fileURLWithPath: path.string))
        await #expect(throws: BerthError.self) { try await fixture.images.importArchive(at: path) }
        let missing = await #expect(throws: BerthError.self) {
            try await fixture.images.importArchive(at: "/no/such.tar")
        }
        #expect(missing?.code == .notFound)
        #expect(try await fixture.images.list().isEmpty)
        #expect(try fixture.blobs == 0)
    }
}

private final class Counter: Sendable {
    private let lock = NSLock()
    nonisolated(unsafe) private var count = 0

    func add() { lock.withLock { count += 1 } }
    var value: Int { lock.withLock { count } }
}
