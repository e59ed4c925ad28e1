import Core
import Images
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

struct ImageUnpackerTests {
    private func layers(_ storage: Storage, _ count: Int) throws -> [Descriptor] {
        try (0..<count).map { number in
            try storage.layer(
                TestTar.make { tar in
                    try tar.directory("d")
                    try tar.file("d/\(number)", "\(number)")
                    if number > 0 { try tar.file("d/.wh.\(number - 1)") }
                })
        }
    }

    @Test("chain IDs are those of the image specification")
    func chainIDs() throws {
        let a = try Digest.of(Array("a".utf8))
        let b = try Digest.of(Array("b".utf8))
        #expect(try Digest.chainIDs([]) == [])
        #expect(try Digest.chainIDs([a, b]) == [a, Digest.of(Array("\(a) \(b)".utf8))])
    }

    @Test("layers become a chain of snapshots, and the next image shares them")
    func chain() async throws {
        let storage = try Storage()
        let layers = try layers(storage, 5)
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter)
        let top = try #require(
            try await unpacker.unpack(layers: layers, diffIDs: layers.map(\.digest), labels: ["k": "v"]))
        #expect(try await storage.snapshotter.list().count == 5)
        #expect(try await storage.snapshotter.layerDirectories(top.description).count == 5)
        #expect(try await storage.snapshotter.info(top.description).labels == ["k": "v"])
        #expect(try await storage.snapshotter.unpacked(top))

        let more = layers.prefix(3) + [try storage.layer(TestTar.make { try $0.file("other", "x") })]
        try await unpacker.unpack(layers: Array(more), diffIDs: more.map(\.digest))
        #expect(try await storage.snapshotter.list().count == 6)

        guard case .overlay(let overlay) = try await storage.snapshotter.view("v", parent: top.description) else {
            Issue.record("not an overlay")
            return
        }
        let target = try storage.scratch.directory("mnt")
        try Syscall.mount(
            source: "overlay", target: target, type: "overlay", flags: .readOnly,
            data: "lowerdir=\(overlay.lower.joined(separator: ":"))")
        defer { try? Syscall.umount2(target, .detach) }
        #expect(try Files.list(target.appending("d")) == ["4"])
    }

    @Test("two unpacks of one image at the same time do it once")
    func concurrently() async throws {
        let storage = try Storage()
        let layers = try layers(storage, 4)
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter)
        try await withThrowingTaskGroup(of: Digest?.self) { group in
            for _ in 0..<4 {
                group.addTask { try await unpacker.unpack(layers: layers, diffIDs: layers.map(\.digest)) }
            }
            try await group.waitForAll()
        }
        #expect(try await storage.metadata.allocateID() == 5)
        #expect(try Files.list(storage.snapshotter.root) == ["1", "2", "3", "4"])
    }

    @Test("a failure in the last layer leaves nothing of the others")
    func failure() async throws {
        let storage = try Storage()
        var layers = try layers(storage, 3)
        layers.append(try storage.layer(TestTar.make { try $0.file("../x", "x") }))
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter)
        let error = await #expect(throws: BerthError.self) {
            try await unpacker.unpack(layers: layers, diffIDs: layers.map(\.digest))
        }
        #expect(error?.message.contains(layers[3].digest.description) == true)
        #expect(try await storage.snapshotter.list().isEmpty)
        #expect(try Files.list(storage.snapshotter.root) == [])
    }

    @Test("a cancelled unpack stops and leaves nothing")
    func cancelled() async throws {
        let storage = try Storage()
        let layer = try storage.layer(
            TestTar.make { tar in
                for number in 0..<5000 { try tar.file("f\(number)", String(repeating: "x", count: 2000)) }
            })
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter)
        let task = Task { try await unpacker.unpack(layers: [layer], diffIDs: [layer.digest]) }
        try await Task.sleep(for: .milliseconds(20))
        task.cancel()
        await #expect(throws: (any Error).self) { _ = try await task.value }
        #expect(try Files.list(storage.snapshotter.root) == [])
    }

    @Test("a layer is unpacked while it is being written, and committed only when that is whole")
    func whileDownloading() async throws {
        let storage = try Storage()
        let tar = try TestTar.make { tar in
            for number in 0..<300 { try tar.file("f\(number)", String(repeating: "x", count: 10_000)) }
        }
        let digest = try Digest.of(tar)
        let layer = Descriptor(mediaType: .layer, digest: digest, size: Int64(tar.count))
        let writer = try storage.content.ingest("download")
        let arrivals = BlobArrivals()
        arrivals.began(digest, try writer.follow())
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter)
        let download = Task {
            for start in stride(from: 0, to: tar.count, by: 200_000) {
                try writer.write(Array(tar[start..<min(start + 200_000, tar.count)]))
                try await Task.sleep(for: .milliseconds(2))
            }
            try writer.commit(expecting: digest)
            arrivals.ended(digest)
        }
        let top = try await unpacker.unpack(layers: [layer], diffIDs: [digest], arrivals: arrivals)
        try await download.value
        #expect(top == digest)
        #expect(try await storage.snapshotter.info(digest.description).usage?.inodes == 301)
    }

    @Test("a download that fails ends the unpack that follows it, with the download's own words")
    func failedDownload() async throws {
        let storage = try Storage()
        let writer = try storage.content.ingest("download")
        let layer = Descriptor(mediaType: .layer, digest: try Digest.of([1]), size: 5000)
        let later = Descriptor(mediaType: .layer, digest: try Digest.of([2]), size: 5000)
        let arrivals = BlobArrivals()
        arrivals.began(layer.digest, try writer.follow())
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter)
        let task = Task {
            try await unpacker.unpack(
                layers: [layer, later], diffIDs: [layer.digest, later.digest], arrivals: arrivals)
        }
        try writer.write([1, 2, 3])
        try await Task.sleep(for: .milliseconds(20))
        arrivals.failed(BerthError(.unavailable, "the registry burns"))
        arrivals.failed(CancellationError())
        writer.abort()
        let error = await #expect(throws: BerthError.self) { _ = try await task.value }
        #expect(error?.description == "the registry burns")
        #expect(try Files.list(storage.snapshotter.root) == [])
    }

    @Test("a download that is started again costs the layer another look, not the pull")
    func restartedDownload() async throws {
        let storage = try Storage()
        let tar = try TestTar.make { try $0.file("f", String(repeating: "x", count: 3_000_000)) }
        let digest = try Digest.of(tar)
        let layer = Descriptor(mediaType: .layer, digest: digest, size: Int64(tar.count))
        let writer = try storage.content.ingest("download")
        let arrivals = BlobArrivals()
        arrivals.began(digest, try writer.follow())
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter)
        let task = Task {
            try await unpacker.unpack(layers: [layer], diffIDs: [digest], arrivals: arrivals)
        }
        // Enough for the first of the file to be written.
        try writer.write([UInt8](tar[..<2_200_000]))
        try await Task.sleep(for: .milliseconds(20))
        try writer.truncate()
        try writer.write(tar)
        try writer.commit(expecting: digest)
        arrivals.ended(digest)
        #expect(try await task.value == digest)
        #expect(try await storage.snapshotter.info(digest.description).usage?.inodes == 2)
    }

    @Test("who waits for a blob that never comes can be cancelled")
    func cancelledWait() async throws {
        let arrivals = BlobArrivals()
        let digest = try Digest.of([1])
        let task = Task { try await arrivals.whole(digest) }
        try await Task.sleep(for: .milliseconds(20))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
