import Core
import Images
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

/// The suite that every snapshotter must pass.
struct SnapshotterTests {
    struct Implementation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let kind: SnapshotterKind

        func make(_ root: FilePath) throws -> any Snapshotter {
            try kind.make(root: root, metadata: InMemorySnapshotMetadata())
        }
    }

    /// All that this host can mount; the build's own kernel and that of user-mode Linux can all.
    static let implementations = SnapshotterKind.allCases.map {
        Implementation(testDescription: $0.rawValue, kind: $0)
    }

    let scratch = try! ScratchDirectory("snapshots")

    /// The directory that a snapshot's writer writes to.
    private func writable(_ mounts: SnapshotMounts) throws -> FilePath {
        switch mounts {
        case .bind(let source, false): source
        case .overlay(let overlay): FilePath(try #require(overlay.upper))
        default: throw BerthError(.internal, "not writable")
        }
    }

    private func names(_ mounts: SnapshotMounts) async throws -> [String] {
        try await withMount(mounts, in: scratch) { try Files.list($0) }
    }

    @Test("prepare, commit and view show each other's files", arguments: implementations)
    func layers(implementation: Implementation) async throws {
        let snapshotter = try implementation.make(scratch.path.appending("s"))
        let base = try await snapshotter.prepare("a", parent: nil)
        try Files.writeAtomically(try writable(base).appending("one"), [1])
        try await snapshotter.commit("a", as: "A", labels: ["x": "y"])
        #expect(try await snapshotter.info("A").kind == .committed)
        #expect(try await snapshotter.info("A").labels == ["x": "y"])
        await expect(.notFound) { _ = try await snapshotter.info("a") }

        let second = try await snapshotter.prepare("b", parent: "A")
        #expect(try await snapshotter.mounts("b") == second)
        try Files.writeAtomically(try writable(second).appending("two"), [2])
        try await snapshotter.commit("b", as: "B")

        let third = try await snapshotter.prepare("c", parent: "B")
        #expect(try await names(third) == ["one", "two"])
        let view = try await snapshotter.view("v", parent: "B")
        #expect(view.writableDirectory == nil)
        #expect(try await names(view) == ["one", "two"])
        guard case .bind(_, true) = try await snapshotter.view("w", parent: "A") else {
            Issue.record("not a bind mount")
            return
        }
        // What is written to one shows nowhere else.
        try Files.writeAtomically(try writable(third).appending("three"), [3])
        #expect(try await names(view) == ["one", "two"])
        #expect(try await names(third) == ["one", "three", "two"])
        #expect(try await Set(snapshotter.list().map(\.key)) == ["A", "B", "c", "v", "w"])
    }

    @Test("illegal steps are refused and leave nothing", arguments: implementations)
    func refusals(implementation: Implementation) async throws {
        let root = scratch.path.appending("s")
        let snapshotter = try implementation.make(root)
        _ = try await snapshotter.prepare("a", parent: nil)
        let before = try Files.list(root)
        await expect(.alreadyExists) { _ = try await snapshotter.prepare("a", parent: nil) }
        await expect(.notFound) { _ = try await snapshotter.prepare("b", parent: "missing") }
        await expect(.failedPrecondition) { _ = try await snapshotter.prepare("b", parent: "a") }
        await expect(.notFound) { try await snapshotter.commit("missing", as: "X") }
        await expect(.notFound) { try await snapshotter.remove("missing") }
        #expect(try Files.list(root) == before)
        try await snapshotter.commit("a", as: "A")
        await expect(.failedPrecondition) { try await snapshotter.commit("A", as: "B") }
        await expect(.failedPrecondition) { _ = try await snapshotter.mounts("A") }
        _ = try await snapshotter.prepare("c", parent: "A")
        await expect(.failedPrecondition) { try await snapshotter.remove("A") }
        await expect(.alreadyExists) { try await snapshotter.commit("c", as: "A") }
        try await snapshotter.remove("c")
        try await snapshotter.remove("A")
        #expect(try Files.list(root) == [])
    }

    @Test("usage counts allocated blocks and inodes, hard links once", arguments: implementations)
    func usage(implementation: Implementation) async throws {
        let root = scratch.path.appending("s")
        let snapshotter = try implementation.make(root)
        let tree = try writable(await snapshotter.prepare("a", parent: nil))
        let empty = try await snapshotter.usage("a")
        #expect(empty.inodes == 1)
        try Files.writeAtomically(tree.appending("f"), [UInt8](repeating: 1, count: 10_000))
        let directory = try OwnedDescriptor.directory(tree)
        defer { directory.close() }
        try EntryCalls.makeLink(directory.fd, "g", targetDirectory: directory.fd, target: "f")
        let usage = try await snapshotter.usage("a")
        #expect(usage.inodes == 2)
        #expect(usage.bytes - empty.bytes == 12_288)
        try await snapshotter.commit("a", as: "A")
        if implementation.kind == .erofs {
            let image = try EntryCalls.status(tree.removingLastComponent().appending("layer.erofs"))
            #expect(try await snapshotter.usage("A") == SnapshotUsage(bytes: image.allocated, inodes: 1))
        } else {
            #expect(try await snapshotter.usage("A") == usage)
        }
    }

    @Test("directories without a row are removed, others stay", arguments: implementations)
    func orphans(implementation: Implementation) async throws {
        let root = scratch.path.appending("s")
        let snapshotter = try implementation.make(root)
        _ = try await snapshotter.prepare("a", parent: nil)
        let before = try Files.list(root)
        _ = try await snapshotter.beginLayer()
        try Files.makeDirectories(root.pushing("999/fs/x"))
        #expect(try await snapshotter.removeOrphans() == 2)
        #expect(try Files.list(root) == before)
    }

    @Test("a layer keeps everything that its files have, whatever they are", arguments: implementations)
    func everything(implementation: Implementation) async throws {
        let snapshotter = try implementation.make(scratch.path.appending("s"))
        let tree = try writable(await snapshotter.prepare("a", parent: nil))
        try await EveryFile.make(in: tree)
        let before = try await EveryFile.list(tree)
        try await snapshotter.commit("a", as: "A")
        let view = try await snapshotter.view("v", parent: "A")
        // Not through overlayfs, which shows no deletions.
        let shown = try await EveryFile.list(view.readableLayers[0])
        #expect(shown == before, "\(difference(before, shown))")

        // And as the lower layer of a container, which may write.
        let mounts = try await snapshotter.prepare("c", parent: "A")
        try await withMount(mounts, in: scratch) { root async throws in
            #expect(try text(root.appending("d/one")) == "x")
            try Files.writeAtomically(root.appending("d/one"), Array("changed".utf8))
            #expect(try text(root.appending("third")) == "x")
            #expect(Files.exists(root.appending("deleted")) == (snapshotter.layerForm == .whole))
        }
        for key in ["c", "v", "A"] { try await snapshotter.remove(key) }
        #expect(try MountTable.read().filter { $0.target.hasPrefix(scratch.path.string) }.isEmpty)
        #expect(try Files.list(scratch.path.appending("s")) == [])
    }

    private func difference(_ before: String, _ after: String) -> String {
        let (old, new) = (before.split(separator: "\n"), after.split(separator: "\n"))
        return Set(old).symmetricDifference(Set(new)).sorted().prefix(6).joined(separator: "\n")
    }

    @Test("an image is unpacked to the same files by every snapshotter", arguments: implementations)
    func unpacking(implementation: Implementation) async throws {
        let snapshotter = try implementation.make(scratch.path.appending("s"))
        let content = try ContentStore(root: scratch.path.appending("content"))
        let tars = [
            try TestTar.make { tar in
                try tar.directory("a")
                try tar.file("a/kept", "kept")
                try tar.file("a/gone", "gone")
                try tar.directory("b")
                try tar.file("b/hidden", "hidden")
                try tar.symlink("link", to: "b")
            },
            try TestTar.make { tar in
                try tar.file("a/.wh.gone")
                try tar.file("b/.wh..wh..opq")
                try tar.file("b/new", "new")
                // Both mean what the layer below has.
                try tar.hardLink("again", to: "a/kept")
                try tar.file("link/through", "through")
            },
            try TestTar.make { try $0.file("a/kept", "changed", mode: 0o600) },
        ]
        let layers = try tars.map {
            Descriptor(mediaType: .layer, digest: try content.write($0), size: Int64($0.count))
        }
        let unpacker = ImageUnpacker(content: content, snapshotter: snapshotter)
        let top = try #require(try await unpacker.unpack(layers: layers, diffIDs: layers.map(\.digest)))
        let mounts = try await snapshotter.prepare("c", parent: "\(top)")
        try await withMount(mounts, in: scratch) { root async throws in
            #expect(try Files.list(root) == ["a", "again", "b", "link"])
            #expect(try Files.list(root.appending("a")) == ["kept"])
            #expect(try Files.list(root.appending("b")) == ["new", "through"])
            #expect(try text(root.appending("a/kept")) == "changed")
            #expect(try text(root.appending("again")) == "kept")
        }
        // A second image over the first two layers makes only what is new.
        let count = try await snapshotter.list().count
        try await unpacker.unpack(layers: Array(layers.prefix(2)), diffIDs: layers.prefix(2).map(\.digest))
        #expect(try await snapshotter.list().count == count)
    }

    @Test("as many layers as overlayfs takes are mounted, and one more is refused in words")
    func manyLayers() async throws {
        let snapshotter = try OverlaySnapshotter(
            root: scratch.path.appending("s"), metadata: InMemorySnapshotMetadata())
        var stagings: [StagedLayer] = []
        for number in 0..<501 {
            let staging = try await snapshotter.beginLayer()
            try Files.writeAtomically(staging.tree.appending("f\(number)"), [1])
            stagings.append(
                StagedLayer(
                    staging, name: "L\(number)", parent: number == 0 ? nil : "L\(number - 1)", usage: SnapshotUsage()))
        }
        try await snapshotter.commitLayers(stagings)
        let mounts = try await snapshotter.prepare("c", parent: "L499")
        #expect(try await names(mounts).count == 500)
        let error = await #expect(throws: BerthError.self) { _ = try await snapshotter.prepare("d", parent: "L500") }
        #expect(error.map { "\($0)".contains("has 501 layers, and overlayfs takes at most 500") } == true)
    }

    private func expect(_ code: BerthError.Code, _ body: () async throws -> Void) async {
        let error = await #expect(throws: BerthError.self) { try await body() }
        #expect(error?.code == code)
    }
}
