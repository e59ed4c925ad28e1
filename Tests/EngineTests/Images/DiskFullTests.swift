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

    /// What a store of its own does: an image comes, is unpacked, and a container gets its root.
    private static func work(_ root: FilePath) async throws {
        try Files.makeDirectories(root)
        let database = try Store.Database(path: root.appending("meta.db"))
        defer { try? database.close() }
        let images = try ImageService(root: root, database: database, registry: registry)
        defer { images.storage.collector.stop() }
        try await images.recover()
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
        _ = try await images.prepareRootFS(containerID: "c", image: "box:1")
        try await images.removeRootFS(containerID: "c")
        images.storage.collector.stop()
        await images.storage.collector.settle()
    }

    @Test func eachWriteThatFindsNoSpaceIsToldAndUndone() async throws {
        let scratch = try ScratchDirectory("full")
        let mount = try scratch.directory("disk")
        var failures = 0
        var kilobytes = 8
        var isEnough = false
        while !isEnough {
            try Syscall.mount(
                source: "tmpfs", target: mount, type: "tmpfs", flags: [], data: "size=\(kilobytes)k,nr_inodes=4k")
            let root = mount.appending("root")
            do {
                try await Self.work(root)
                isEnough = true
            } catch let error as BerthError {
                failures += 1
                #expect(error.code == .resourceExhausted, "with \(kilobytes) KiB: \(error)")
                // Nothing but what is whole: the names of blobs are true, and no directory is without a row afterwards.
                for blob in (try? ContentStore(existing: root.appending("content")))?.blobs ?? [] {
                    #expect(try blob.computeDigest() == blob.digest)
                }
                try Syscall.mount(
                    source: "tmpfs", target: mount, type: "tmpfs", flags: .remount, data: "size=16m")
                try await Self.work(root)
                #expect(try Files.list(root.appending("snapshots")).count == 1)
                #expect(try Files.list(root.pushing("content/ingest")) == [])
                #expect(try Files.list(root.pushing("content/blobs/sha256")).count == 3)
            }
            try Syscall.umount2(mount, .detach)
            kilobytes += kilobytes < 256 ? 12 : 40
            try #require(kilobytes < 16_384, "never enough")
        }
        #expect(failures > 10)
    }
}

extension ContentStore {
    fileprivate var blobs: [BlobReader] { ((try? list()) ?? []).compactMap { try? open($0.digest) } }
}
