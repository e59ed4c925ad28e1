import Core
import Foundation
import Images
import LinuxKernel
import Store
import SystemPackage
import TestSupport
import Testing

@testable import Engine

/// The disk is full at one write after the other: each gives a clear error, leaves nothing half made, and the same succeeds once
/// there is room.
@Suite("Disk full", .serialized) struct DiskFullTests {
    private static let registry = RegistryClient()

    /// A store of its own in `root`, which a container gets its root from.
    private static func withStore(
        _ root: FilePath, _ kind: SnapshotterKind, _ obtain: (ImageService) async throws -> String
    ) async throws {
        try Files.makeDirectories(root)
        let database = try Store.Database(path: root.appending("meta.db"))
        defer { try? database.close() }
        let images = try ImageService(root: root, database: database, registry: registry, snapshotter: kind)
        defer { images.storage.collector.stop() }
        try await images.recover()
        let name = try await obtain(images)
        _ = try await images.prepareRootFS(containerID: "c", image: name)
        try await images.removeRootFS(containerID: "c")
        images.storage.collector.stop()
        await images.storage.collector.settle()
    }

    private static func build(_ images: ImageService) async throws -> String {
        var builder = RootFSImageBuilder(execution: .init(env: ["A=b"]))
        for number in 0..<20 {
            try builder.add(
                .file(content: [UInt8](repeating: UInt8(number), count: 9000), mode: 0o644), at: "/d\(number)/file")
        }
        let built = builder
        try await images.leases.withLease(namespace: "k8s.io", for: "test") { scope in
            let target = try await images.storage.gate.withOperation {
                let target = try built.build(into: images.storage.blobs)
                try await images.adopt(target, scope: scope)
                return target
            }
            try await images.assign("docker.io/library/box:1", to: target, in: scope)
        }
        _ = try await images.unpack("box:1")
        return "box:1"
    }

    /// Tries `work` on disks of a growing size until one is large enough.
    ///
    /// - Parameters:
    ///   - sizes: of the disks, in KiB; the last is enough.
    ///   - blobs: how many there are in the end.
    ///   - layers: how many the image has.
    private func fill(
        _ sizes: some Sequence<Int>, blobs: Int, layers: Int, _ work: (FilePath) async throws -> Void
    ) async throws {
        let scratch = try ScratchDirectory("full")
        let mount = try scratch.directory("disk")
        var failures = 0
        var isEnough = false
        for kilobytes in sizes where !isEnough {
            try Syscall.mount(
                source: "tmpfs", target: mount, type: "tmpfs", flags: [], data: "size=\(kilobytes)k,nr_inodes=4k")
            let root = mount.appending("root")
            do {
                try await work(root)
                isEnough = true
            } catch let error as BerthError {
                failures += 1
                #expect(error.code == .resourceExhausted, "with \(kilobytes) KiB: \(error)")
                // Nothing but what is whole: the names of blobs are true, and no directory is without a row afterwards.
                for blob in (try? ContentStore(existing: root.appending("content")))?.blobs ?? [] {
                    #expect(try blob.computeDigest() == blob.digest)
                }
                try Syscall.mount(
                    source: "tmpfs", target: mount, type: "tmpfs", flags: .remount, data: "size=64m")
                try await work(root)
            }
            #expect(try Files.list(root.appending("snapshots")).count == layers)
            #expect(try Files.list(root.pushing("content/ingest")) == [])
            #expect(try Files.list(root.pushing("content/blobs/sha256")).count == blobs)
            for entry in MountTable.below(mount, in: try MountTable.read()) {
                try Syscall.umount2(FilePath(entry.target), .detach)
            }
        }
        #expect(isEnough)
        #expect(failures > 10)
    }

    @Test(arguments: SnapshotterKind.allCases)
    func eachWriteThatFindsNoSpaceIsToldAndUndone(_ kind: SnapshotterKind) async throws {
        let sizes = Array(stride(from: 8, to: 256, by: 12)) + Array(stride(from: 256, to: 16_384, by: 40))
        try await fill(sizes, blobs: 3, layers: 1) { try await Self.withStore($0, kind, Self.build) }
    }

    @Test(arguments: [SnapshotterKind.overlayfs, .erofs])
    func aPullThatFindsNoSpaceIsToldAndCompletesLater(_ kind: SnapshotterKind) async throws {
        let scratch = try ScratchDirectory("full-registry")
        let source = try await ImageFixture(below: scratch.path)
        let registry = try await TestRegistry(below: scratch.path)
        defer { registry.stop() }
        try await registry.push(source, as: "some/box:v1")
        let name = "127.0.0.1:\(registry.port)/some/box:v1"
        try await fill(stride(from: 200, to: 16_384, by: 230), blobs: 4, layers: 2) {
            try await Self.withStore($0, kind) { images in
                _ = try await images.pull(name)
                return name
            }
        }
    }
}

extension ContentStore {
    fileprivate var blobs: [BlobReader] { ((try? list()) ?? []).compactMap { try? open($0.digest) } }
}
