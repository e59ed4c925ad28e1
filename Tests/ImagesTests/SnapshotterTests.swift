import Core
import Glibc
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

    /// user::rwx, user:1000:rwx, group::r-x, mask::rwx, other::---
    private static let defaultList: [UInt8] =
        [2, 0, 0, 0] + [1, 0, 7, 0, 255, 255, 255, 255] + [2, 0, 7, 0, 232, 3, 0, 0]
        + [4, 0, 5, 0, 255, 255, 255, 255] + [16, 0, 7, 0, 255, 255, 255, 255] + [32, 0, 0, 0, 255, 255, 255, 255]

    @Test(
        "default access control lists, the host's and a lower layer's, change nothing of a layer",
        arguments: implementations)
    func accessLists(implementation: Implementation) async throws {
        let root = try scratch.directory("s")
        let directory = try OwnedDescriptor.directory(root)
        try Syscall.fsetxattr(directory.fd, "system.posix_acl_default", Self.defaultList)
        let content = try ContentStore(root: scratch.path.appending("content"))
        let tars = [
            try TestTar.make { tar in
                try tar.add(
                    TarEntry(
                        kind: .directory, path: Array("d".utf8), mode: 0o755,
                        attributes: [.init(name: Array("system.posix_acl_default".utf8), value: Self.defaultList)]))
                try tar.file("d/first", mode: 0o644)
                try tar.file("target", mode: 0o600)
            },
            try TestTar.make { tar in
                // Wants the layer below, so it is unpacked over a mount of that.
                try tar.hardLink("link", to: "target")
                try tar.file("d/second", mode: 0o644)
                try tar.directory("d/sub", mode: 0o755)
                try tar.file("d/un/described", mode: 0o606)
                try tar.add(TarEntry(kind: .fifo, path: Array("d/fifo".utf8), mode: 0o644))
            },
        ]
        let layers = try tars.map {
            Descriptor(mediaType: .layer, digest: try content.write($0), size: Int64($0.count))
        }
        let snapshotter = try implementation.make(root)
        let unpacker = ImageUnpacker(content: content, snapshotter: snapshotter)
        let top = try #require(try await unpacker.unpack(layers: layers, diffIDs: layers.map(\.digest)))
        let mounts = try await snapshotter.prepare("c", parent: "\(top)")
        try await withMount(mounts, in: scratch) { mounted async throws in
            let list = try await EveryFile.list(mounted)
            for line in list.split(separator: "\n") where !line.hasPrefix("b'./d' ") {
                #expect(!line.contains("posix_acl"), "\(line)")
            }
            for (name, mode) in [
                ("d/first", "0o100644"), ("d/second", "0o100644"), ("d/sub", "0o40755"), ("d/un", "0o40755"),
                ("d/un/described", "0o100606"), ("d/fifo", "0o10644"), ("d", "0o40755"), ("target", "0o100600"),
            ] { #expect(list.contains("b'./\(name)' \(mode) "), "\(name)") }
            #expect(list.contains("system.posix_acl_default"))
        }
    }

    @Test(
        "twice as many layers as overlayfs takes are mounted, and one more is refused in words",
        arguments: [SnapshotterKind.overlayfs, .erofs])
    func manyLayers(kind: SnapshotterKind) async throws {
        let snapshotter = try kind.make(root: scratch.path.appending("s"), metadata: InMemorySnapshotMetadata())
        var stagings: [StagedLayer] = []
        for number in 0..<1000 {
            let staging = try await snapshotter.beginLayer()
            try Files.writeAtomically(staging.tree.appending("f\(number)"), [1])
            // Each deletes what the layer below it has made, also across the border between one overlay and the next.
            if number > 0, number % 100 == 0 {
                let tree = try OwnedDescriptor.directory(staging.tree)
                defer { tree.close() }
                let name = Array("f\(number - 1)".utf8CString)
                try EntryCalls.makeNode(tree.fd, name, mode: UInt32(S_IFCHR), major: 0, minor: 0)
            }
            stagings.append(
                StagedLayer(
                    staging, name: "L\(number)", parent: number == 0 ? nil : "L\(number - 1)"))
        }
        try await snapshotter.commitLayers(stagings)
        for (top, deleted) in [(499, 4), (500, 5), (998, 9)] {
            let mounts = try await snapshotter.prepare("c\(top)", parent: "L\(top)")
            let names = Set(try await names(mounts))
            #expect(names.count == top + 1 - deleted, "\(top)")
            #expect(!names.contains("f399") && names.contains("f0") && names.contains("f\(top)"))
        }
        let view = try await snapshotter.view("v", parent: "L998")
        #expect(try await names(view).count == 999 - 9)
        let error = await #expect(throws: BerthError.self) { _ = try await snapshotter.prepare("d", parent: "L999") }
        #expect(error.map { "\($0)".contains("has 1000 layers, and overlayfs takes at most 999") } == true)
        // A layer that refers to the lowest of very many is unpacked over a mount of them all.
        let content = try ContentStore(root: scratch.path.appending("content"))
        let tar = try TestTar.make { try $0.hardLink("again", to: "f0") }
        let (blob, staging) = (try content.open(content.write(tar)), try await snapshotter.beginLayer())
        let lower = try await snapshotter.layerDirectories("L600")
        _ = try await LayerUnpacker().unpack(blob, mediaType: .layer, into: staging.tree, lower: lower)
        #expect(try Files.list(staging.tree) == ["again", "f0"])
        await snapshotter.abandonLayer(staging)
        // The mounts go with the layers that they are in: those joined, and of EROFS each by itself.
        #expect(try mounts().filter { $0.target.hasSuffix("/joined") }.count == 1)
        #expect(try mounts().count == (kind == .erofs ? 1000 : 1))
        for key in ["c499", "c500", "c998", "v"] { try await snapshotter.remove(key) }
        for number in (499..<1000).reversed() { try await snapshotter.remove("L\(number)") }
        #expect(try !mounts().contains { $0.target.hasSuffix("/joined") })
        for number in (0..<499).reversed() where kind == .erofs { try await snapshotter.remove("L\(number)") }
        #expect(try mounts().isEmpty)
    }

    private func mounts() throws -> [MountEntry] {
        try MountTable.read().filter { $0.target.hasPrefix(scratch.path.string) }
    }

    private func expect(_ code: BerthError.Code, _ body: () async throws -> Void) async {
        let error = await #expect(throws: BerthError.self) { try await body() }
        #expect(error?.code == code)
    }
}
