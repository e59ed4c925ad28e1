import Core
import Foundation
import Images
import LinuxKernel
import OCISpec
import Store
import SystemPackage
import TestSupport
import Testing

@testable import Engine

/// An image service of a test's own, which can be closed and opened again as a restarted daemon does.
final class ImageServiceFixture {
    let scratch: ScratchDirectory
    let root: FilePath
    private(set) var database: Store.Database
    private(set) var images: ImageService
    /// Never shut down: a client has to be before it goes, and tests end in many ways.
    private static let registry = RegistryClient()

    init() async throws {
        scratch = try ScratchDirectory("images")
        root = scratch.path.appending("root")
        try FileManager.default.createDirectory(atPath: root.string, withIntermediateDirectories: true)
        database = try Store.Database(path: root.appending("meta.db"))
        images = try ImageService(root: root, database: database, registry: Self.registry)
        try await images.recover()
    }

    deinit { images.storage.collector.stop() }

    /// What a restart after `kill -9` does: nothing is closed but the database file.
    func restart(snapshotter: SnapshotterKind = .overlayfs) async throws {
        images.storage.collector.stop()
        try database.close()
        database = try Store.Database(path: root.appending("meta.db"))
        images = try ImageService(
            root: root, database: database, registry: Self.registry, snapshotter: snapshotter)
        try await images.recover()
    }

    /// An image of one layer that differs with `text`.
    func build(_ name: String, text: String, namespace: String = ImageService.criNamespace) async throws -> ImageStatus
    {
        var builder = RootFSImageBuilder(execution: .init(env: ["TEXT=\(text)"]))
        try builder.add(.file(content: Array(text.utf8), mode: 0o644), at: "/etc/text")
        let images = images
        let target = try builder.build(into: images.storage.blobs)
        try await images.leases.withLease(namespace: namespace, for: "test") { scope in
            try await images.adopt(target, scope: scope)
            try await images.assign(name, to: target, in: scope)
        }
        return try #require(try await images.status(of: name, namespace: namespace))
    }

    func container(_ id: String) async throws {
        try await database.put(ContainerRecord(id: id, podID: "p", name: id, createdAt: 1, version: 1, payload: []))
    }

    var blobs: Int { get throws { try images.storage.blobs.list().count } }

    var layers: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: root.appending("snapshots").string).sorted()
        }
    }
}

@Suite("Image service") struct ImageServiceTests {
    @Test func anImageOfCRIHasItsIDAsANameThatOutlivesTheOthers() async throws {
        let fixture = try await ImageServiceFixture()
        let images = fixture.images
        let built = try await fixture.build("docker.io/library/zoo:1", text: "a")
        let id = built.id.description
        #expect(try await images.allNamed(namespace: "k8s.io").map(\.name) == ["docker.io/library/zoo:1", id])
        #expect(built.tags == ["docker.io/library/zoo:1"])
        #expect(built.digests == [])
        #expect(try await images.named(id, namespace: "k8s.io").labels == ["io.cri-containerd.image": "managed"])
        try await images.deleteName("docker.io/library/zoo:1", namespace: "k8s.io", waitForCollection: true)
        #expect(try await images.status(of: id)?.tags == [])
        #expect(try await images.list().map(\.id) == [built.id])
        try await images.remove(id)
        #expect(try await images.allNamed(namespace: "k8s.io").isEmpty)
        // Other namespaces have the names that they were given, and no more.
        _ = try await fixture.build("docker.io/library/zoo:1", text: "a", namespace: "default")
        #expect(try await images.allNamed(namespace: "default").map(\.name) == ["docker.io/library/zoo:1"])
    }

    @Test func findsAnImageByEverythingThatNamesIt() async throws {
        let fixture = try await ImageServiceFixture()
        let image = try await fixture.build("docker.io/library/box:latest", text: "one")
        let target = try await fixture.images.named("docker.io/library/box:latest", namespace: "k8s.io").target.digest
        for reference in [
            "box", "box:latest", "library/box", "docker.io/library/box:latest", "\(image.id)", image.id.hex,
            String(image.id.hex.prefix(8)), String("\(image.id)".prefix(20)), "\(target)", "box@\(target)",
            "docker.io/library/box@\(target)",
        ] {
            #expect(try await fixture.images.status(of: reference)?.id == image.id, "\(reference)")
        }
        for reference in [
            "box:other", "quay.io/library/box", "ffffffffffff", "box@sha256:" + String(repeating: "0", count: 64),
        ] {
            #expect(try await fixture.images.status(of: reference) == nil, "\(reference)")
        }
        #expect(try await fixture.images.status(of: "box", namespace: "default") == nil)
        #expect(image.tags == ["docker.io/library/box:latest"])
        #expect(image.config.config?.env == ["TEXT=one"])
    }

    /// A kubelet asks for a container's image by ID, and tells beside it what the pod says.
    @Test func aContainersImageIsShownByTheNameThatWasAskedFor() async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/box:a", text: "one")
        let image = try await fixture.build("docker.io/library/box:b", text: "one")
        let id = "\(image.id)"
        func shown(_ request: ImageRequest) -> String { fixture.images.name(of: image, askedFor: request) }
        #expect(shown(ImageRequest(image: id, userSpecifiedImage: "box:b")) == "docker.io/library/box:b")
        #expect(shown(ImageRequest(image: "box:a")) == "docker.io/library/box:a")
        // A name that the image has not (any more) is not told of it.
        #expect(image.tags.contains(shown(ImageRequest(image: id, userSpecifiedImage: "box:c"))))
        var nameless = image
        nameless.tags = []
        #expect(fixture.images.name(of: nameless, askedFor: ImageRequest(image: id)) == id)
    }

    @Test func removingAnImageRemovesAllItsNamesAndBytes() async throws {
        let fixture = try await ImageServiceFixture()
        let image = try await fixture.build("docker.io/library/box:1", text: "one")
        try await fixture.images.tag("box:1", as: "box:2", namespace: "k8s.io")
        try await fixture.images.unpack("box:1")
        #expect(try await fixture.images.status(of: "box:2")?.tags.count == 2)
        #expect(try fixture.layers.count == 1)
        try await fixture.images.remove("\(image.id)")
        #expect(try await fixture.images.list().isEmpty)
        #expect(try fixture.blobs == 0)
        #expect(try fixture.layers == [])
        try await fixture.images.remove("box:1")
    }

    @Test func namespacesShareBlobsAndKeepThemApart() async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/box:1", text: "one")
        _ = try await fixture.build("docker.io/library/box:1", text: "one", namespace: "default")
        #expect(try fixture.blobs == 3)
        try await fixture.images.remove("box:1")
        #expect(try fixture.blobs == 3)
        #expect(try await fixture.images.status(of: "box:1", namespace: "default") != nil)
        try await fixture.images.remove("box:1", namespace: "default")
        #expect(try fixture.blobs == 0)
    }

    @Test func aContainerKeepsItsLayersWhenTheImageGoes() async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/box:1", text: "one")
        let mount = try await fixture.images.prepareRootFS(containerID: "c1", image: "box:1")
        let lower = try #require(mount.readableLayers.first)
        #expect(try String(contentsOfFile: "\(lower)/etc/text", encoding: .utf8) == "one")
        try await fixture.container("c1")
        try await fixture.images.remove("box:1")
        #expect(FileManager.default.fileExists(atPath: "\(lower)/etc/text"))
        #expect(try await fixture.images.rootFS(containerID: "c1") == mount)
        try await fixture.restart()
        #expect(try await fixture.images.rootFS(containerID: "c1") == mount)

        try await fixture.database.deleteContainer(id: "c1")
        try await fixture.images.removeRootFS(containerID: "c1")
        try await fixture.images.removeRootFS(containerID: "c1")
        // By itself: the image's own collection had to leave the layers to the container.
        try await eventually("the layers to go") { try fixture.layers == [] }
    }

    @Test func fiveRemovalsAtOnceAllEndWithTheImageGone() async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/box:1", text: "one")
        try await fixture.images.unpack("box:1")
        let (images, root, database) = (fixture.images, fixture.root, fixture.database)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<5 {
                group.addTask {
                    try await images.remove("box:1")
                    // Whoever is told so finds it so: no directory, no row, no tombstone.
                    let layers = try FileManager.default.contentsOfDirectory(
                        atPath: root.appending("snapshots").string)
                    #expect(layers == [])
                    #expect(try await database.read { try $0.snapshots(namespace: nil) }.isEmpty)
                }
            }
            try await group.waitForAll()
        }
        #expect(try fixture.blobs == 0)
    }

    @Test func aSnapshotBeingRemovedIsSeenByNobody() async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/box:1", text: "one")
        try await fixture.images.unpack("box:1")
        let scope = StorageScope(namespace: "k8s.io")
        let key = try #require(try await fixture.images.snapshots.list(scope: scope).first?.key)
        let tombstone = try await fixture.database.write { transaction in
            let row = try #require(try transaction.snapshots(namespace: nil).first).tombstone
            try transaction.update(row)
            return row
        }
        #expect(try await fixture.images.snapshots.list(scope: scope).isEmpty)
        for gone in [key, tombstone.key] {
            let error = await #expect(throws: BerthError.self) {
                try await fixture.images.snapshots.info(gone, scope: scope)
            }
            #expect(error?.code == .notFound)
        }
        // Its key is free again, and the collector ends what was begun.
        try await fixture.images.unpack("box:1")
        #expect(try fixture.layers.count == 2)
        try await fixture.images.collectGarbage()
        #expect(try fixture.layers.count == 1)
        #expect(try await fixture.database.read { try $0.snapshots(namespace: nil) }.map(\.key) == [key])
    }

    @Test(arguments: SnapshotterKind.allCases)
    func aContainerStaysOnTheSnapshotterThatItWasMadeWith(_ kind: SnapshotterKind) async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/box:1", text: "one")
        try await fixture.restart(snapshotter: kind)
        let mount = try await fixture.images.prepareRootFS(containerID: "c1", image: "box:1")
        try await fixture.container("c1")
        for next in SnapshotterKind.allCases {
            try await fixture.restart(snapshotter: next)
            #expect(try await fixture.images.rootFS(containerID: "c1") == mount)
            let other = try await fixture.images.prepareRootFS(containerID: "c-\(next)", image: "box:1")
            let text = try #require(other.readableLayers.first).appending("etc/text")
            #expect(try String(contentsOfFile: text.string, encoding: .utf8) == "one")
            try await fixture.images.removeRootFS(containerID: "c-\(next)")
            try await fixture.images.collectGarbage()
            #expect(try String(contentsOfFile: "\(mount.readableLayers[0])/etc/text", encoding: .utf8) == "one")
        }
        try await fixture.database.deleteContainer(id: "c1")
        try await fixture.images.removeRootFS(containerID: "c1")
        try await fixture.images.remove("box:1")
        #expect(try fixture.layers == [])
    }

    @Test func aRootFSWithoutContainerIsPinnedUntilTheDaemonDies() async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/box:1", text: "one")
        _ = try await fixture.images.prepareRootFS(containerID: "c1", image: "box:1")
        try await fixture.images.collectGarbage()
        #expect(try fixture.layers.count == 2)
        try await fixture.restart()
        #expect(try fixture.layers.count == 1)
        await #expect(throws: BerthError.self) { try await fixture.images.rootFS(containerID: "c1") }
    }

    @Test func twoContainersOfOneImageUnpackItOnce() async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/box:1", text: "one")
        let images = fixture.images
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask { _ = try await images.prepareRootFS(containerID: "c\(number)", image: "box:1") }
            }
            try await group.waitForAll()
        }
        #expect(try fixture.layers.count == 9)
        await #expect(throws: BerthError.self) { try await images.prepareRootFS(containerID: "c0", image: "box:1") }
        #expect(try fixture.layers.count == 9)
    }

    @Test func leftoversOfAKilledDaemonAreSwept() async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/kept:1", text: "kept")
        let storage = fixture.images.storage
        // A blob whose pull never came to a row, a write of the daemon, a directory without a row, a lease of a pull.
        try storage.blobs.write(Array("orphan".utf8))
        let write = try storage.blobs.ingest("pull-of-something")
        try write.write(Array("half".utf8))
        write.suspend()
        let mine = try await fixture.images.content.write(
            "mine", total: 0, expected: nil, scope: .init(namespace: "default"))
        mine.close()
        try FileManager.default.createDirectory(
            atPath: fixture.root.appending("snapshots/new-123/fs").string, withIntermediateDirectories: true)
        try await fixture.database.write {
            try $0.put(
                LeaseRecord(
                    namespace: "k8s.io", id: "dead", labels: [LeaseService.ownerLabel: "pull"],
                    createdAt: WallClock.now()))
        }
        try await fixture.restart()
        #expect(try fixture.blobs == 3)
        #expect(try fixture.layers == [])
        #expect(try fixture.images.storage.blobs.ingests().map(\.reference) == ["client/default/mine"])
        #expect(try await fixture.images.leases.list(namespace: "k8s.io").isEmpty)
        #expect(try await fixture.images.status(of: "kept:1") != nil)
    }

    @Test func aCrashBetweenRowAndDirectoryIsFinishedAtTheNextStart() async throws {
        let fixture = try await ImageServiceFixture()
        _ = try await fixture.build("docker.io/library/box:1", text: "one")
        try await fixture.images.unpack("box:1")
        // As a collection leaves it that dies after its transaction.
        try await fixture.database.write { transaction in
            try transaction.deleteImage("docker.io/library/box:1", namespace: "k8s.io")
            for snapshot in try transaction.snapshots(namespace: nil) { try transaction.update(snapshot.tombstone) }
            for content in try transaction.contents(namespace: nil) {
                try transaction.deleteContent(content.digest, namespace: content.namespace)
            }
        }
        try await fixture.restart()
        #expect(try fixture.blobs == 0)
        #expect(try fixture.layers == [])
        #expect(try await fixture.database.read { try $0.snapshots(namespace: nil) }.isEmpty)
    }

    @Test func collectionWaitsForOperationsInFlight() async throws {
        let fixture = try await ImageServiceFixture()
        let image = try await fixture.build("docker.io/library/box:1", text: "one")
        let storage = fixture.images.storage
        try await storage.gate.withOperation {
            try await fixture.images.remove("\(image.id)")
            // The rows are gone, but a pull that found the blobs in the store may still count on them.
            #expect(try fixture.blobs == 3)
        }
        for _ in 0..<100 where try fixture.blobs > 0 { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try fixture.blobs == 0)
    }

    @Test(arguments: SnapshotterKind.allCases)
    func reportsWhatItOccupiesToTheBlock(_ kind: SnapshotterKind) async throws {
        let fixture = try await ImageServiceFixture()
        try await fixture.restart(snapshotter: kind)
        _ = try await fixture.build("docker.io/library/box:1", text: String(repeating: "x", count: 100_000))
        let mount = try await fixture.images.prepareRootFS(containerID: "c1", image: "box:1")
        try Data(count: 50_000).write(to: URL(fileURLWithPath: try #require(mount.writableDirectory).string + "/file"))
        // A broken download, a damaged blob, and a layer that is just being unpacked.
        let halves = ["content/ingest/ab/data", "content/quarantine/sha256-00", "snapshots/new-x/fs/a/file"]
        for name in halves {
            let path = fixture.root.pushing(FilePath(name))
            try Files.makeDirectories(path.removingLastComponent())
            try Files.writeAtomically(path, [UInt8](repeating: 1, count: 70_000))
        }
        let info = try await fixture.images.fsInfo()
        // Where an image is mounted, it is what lies below that is on the disk.
        let script = """
            mkdir -p \(fixture.root)/empty
            mount --bind \(fixture.root) \(fixture.root)/empty
            cd \(fixture.root)/empty
            du -s --block-size=1 content snapshots | awk '{ n += $1 } END { print n }'
            find content snapshots | wc -l
            """
        let lines = try await Command.run("unshare", ["-m", "sh", "-c", script]).split(separator: "\n").map {
            Int64($0)
        }
        #expect(lines == [info.bytes, info.inodes])
        #expect(info.path == fixture.root.appending("snapshots").string)
        // A whole copy has the image's directory and file too.
        #expect(try await fixture.images.rootFSUsage(containerID: "c1").inodes == (kind == .native ? 4 : 2))
    }

    @Test func refusesANameThatIsNoReference() async throws {
        let fixture = try await ImageServiceFixture()
        let error = await #expect(throws: BerthError.self) { try await fixture.images.pull("UPPER CASE") }
        #expect(error?.code == .invalidArgument)
        await #expect(throws: BerthError.self) { try await fixture.images.status(of: "") }
    }

    @Test func tellsOfCreatedAndDeletedImages() async throws {
        let fixture = try await ImageServiceFixture()
        let events = fixture.images.events.subscribe()
        _ = try await fixture.build("docker.io/library/box:1", text: "one")
        try await fixture.images.remove("box:1")
        var seen: [String] = []
        for try await event in events {
            seen.append(event.topic)
            if seen.count == 7 { break }
        }
        // The name that it was given, and its ID.
        #expect(seen.prefix(4) == ["/images/create", "/images/create", "/images/delete", "/images/delete"])
        #expect(seen.dropFirst(4) == ["/content/delete", "/content/delete", "/content/delete"])
    }
}
