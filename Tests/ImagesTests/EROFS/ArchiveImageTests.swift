import Core
import Glibc
@testable internal import Images
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

/// Layers that become EROFS images while their archives are read. Without a kernel that takes them (before 6.4) they are unpacked
/// first, and show the same.
struct ArchiveImageTests {
    let scratch = try! ScratchDirectory("erofs")

    private struct Unpacked {
        let snapshotter: any Snapshotter
        let top: String
        /// The trees of the layers, the topmost first.
        let trees: [FilePath]
    }

    private func unpack(_ tars: [[UInt8]], with kind: SnapshotterKind) async throws -> Unpacked {
        let root = scratch.path.appending("\(kind)-\(Identifier.random().prefix(8))")
        let snapshotter = try kind.make(root: root.appending("s"), metadata: InMemorySnapshotMetadata())
        let content = try ContentStore(root: root.appending("content"))
        let layers = try tars.map {
            Descriptor(mediaType: .layer, digest: try content.write($0), size: Int64($0.count))
        }
        let unpacker = ImageUnpacker(content: content, snapshotter: snapshotter)
        let top = try #require(try await unpacker.unpack(layers: layers, diffIDs: layers.map(\.digest)))
        return Unpacked(
            snapshotter: snapshotter, top: "\(top)", trees: try await snapshotter.layerDirectories("\(top)"))
    }

    private func remove(_ unpacked: Unpacked) async throws {
        for info in try await unpacked.snapshotter.list().reversed() { try await unpacked.snapshotter.remove(info.key) }
        #expect(try MountTable.read().filter { $0.target.hasPrefix(scratch.path.string) }.isEmpty)
    }

    private func image(of tree: FilePath) -> FilePath { tree.removingLastComponent().appending("layer.erofs") }

    /// A layer that holds its archive was not unpacked.
    private func holds(_ image: FilePath, _ archive: [UInt8]) throws -> Bool {
        let bytes = try Files.read(image, limit: 256 << 20)
        return bytes.dropFirst(4096).starts(with: archive.prefix(1024))
    }

    private static var takesArchives: Bool {
        get throws { try SnapshotterKind.erofs.features(root: FilePath("/var/tmp"))["archives-as-data"] == true }
    }

    @Test("an archive of every kind of file, made by GNU tar, shows what it shows unpacked")
    func everything() async throws {
        let tree = try scratch.directory("tree")
        try await EveryFile.make(in: tree)
        // Deletions and sparse files are no business of GNU tar's archives here.
        try Syscall.unlinkat(tree.appending("deleted"))
        try await Command.run(
            "python3", ["-c", "import os; os.removexattr('opaque', 'trusted.overlay.opaque')"], directory: tree.string)
        let file = scratch.path.appending("layer.tar")
        try await Command.run(
            "tar",
            ["--format=pax", "--xattrs", "--xattrs-include=security.*", "-cf", file.string, "-C", tree.string, "."])
        let tar = try Files.read(file, limit: 256 << 20)
        let plain = try await unpack([tar], with: .overlayfs)
        let erofs = try await unpack([tar], with: .erofs)
        #expect(try holds(image(of: erofs.trees[0]), tar) == Self.takesArchives)
        let expected = try await EveryFile.list(plain.trees[0])
        let shown = try await EveryFile.list(erofs.trees[0])
        #expect(shown == expected, "\(difference(expected, shown))")
        try await remove(erofs)
    }

    @Test("deletions, replacements, links and directories nobody described mean what they mean unpacked")
    func layers() async throws {
        let tars = [
            try TestTar.make { tar in
                try tar.directory("a", mode: 0o700)
                try tar.file("a/kept", "kept")
                try tar.file("a/gone", "gone")
                try tar.directory("b", mode: 0o1777)
                try tar.file("b/hidden", "hidden")
                try tar.directory("c")
                try tar.file("c/old", "old")
                try tar.symlink("link", to: "b")
            },
            try TestTar.make { tar in
                try tar.file("a/.wh.gone")
                try tar.file("b/.wh..wh..opq")
                try tar.file("b/new", "new")
                // Deleted and made anew.
                try tar.file(".wh.c")
                try tar.directory("c")
                try tar.file("c/now", "now")
                // The last of a name wins; a second name keeps the first one's content.
                try tar.file("twice", "first")
                try tar.hardLink("first", to: "twice")
                try tar.file("twice", "second")
                try tar.file("deep/er/file", "x")
                // Of aufs's own.
                try tar.file(".wh..wh.plnk", "x")
            },
        ]
        let plain = try await unpack(tars, with: .overlayfs)
        let erofs = try await unpack(tars, with: .erofs)
        for (index, tar) in tars.reversed().enumerated() {
            #expect(try holds(image(of: erofs.trees[index]), tar) == Self.takesArchives)
        }
        let lists = try await [plain, erofs].asyncMap { unpacked in
            let mounts = try await unpacked.snapshotter.prepare("c", parent: unpacked.top)
            return try await withMount(mounts, in: scratch) { root in
                // Of directories that nobody described the time is nobody's either.
                try await EveryFile.list(root).split(separator: "\n").map {
                    $0.contains("deep") || $0.contains("'.'") ? $0.split(separator: " ").prefix(4).joined() : String($0)
                }
            }
        }
        #expect(lists[0] == lists[1])
        #expect(lists[0].contains { $0.contains("./a'") && $0.contains("0o40700") })
        try await remove(erofs)
    }

    @Test(
        "a layer that its archive alone does not explain is unpacked first",
        arguments: [
            "through a link of its own", "a second name for a file below", "a path through a link below", "sparse",
            "an access control list",
        ])
    func needsTree(_ name: String) async throws {
        let base = try TestTar.make { tar in
            try tar.directory("d")
            try tar.file("d/file", "below")
            try tar.symlink("link", to: "d")
        }
        let top = try TestTar.make { tar in
            switch name {
            case "through a link of its own":
                try tar.directory("e")
                try tar.symlink("own", to: "e")
                try tar.file("own/x", "x")
            case "a second name for a file below": try tar.hardLink("again", to: "d/file")
            case "a path through a link below": try tar.file("link/x", "x")
            case "sparse": tar.sparse(size: 1 << 20, extents: [(512 << 10, 512)], content: 512)
            default:
                // Version 2: user::rw-, group::r--, other::r--.
                let list: [UInt8] =
                    [2, 0, 0, 0] + [1, 0, 6, 0, 255, 255, 255, 255] + [4, 0, 4, 0, 255, 255, 255, 255]
                    + [32, 0, 4, 0, 255, 255, 255, 255]
                try tar.add(
                    TarEntry(
                        path: Array("x".utf8),
                        attributes: [.init(name: Array("system.posix_acl_access".utf8), value: list)]), Array("x".utf8))
            }
        }
        let erofs = try await unpack([base, top], with: .erofs)
        #expect(try !holds(image(of: erofs.trees[0]), top))
        #expect(try holds(image(of: erofs.trees[1]), base) == Self.takesArchives)
        let mounts = try await erofs.snapshotter.prepare("c", parent: erofs.top)
        try await withMount(mounts, in: scratch) { root async throws in
            switch name {
            case "through a link of its own": #expect(try text(root.appending("e/x")) == "x")
            case "a second name for a file below": #expect(try text(root.appending("again")) == "below")
            case "a path through a link below": #expect(try text(root.appending("d/x")) == "x")
            case "sparse": #expect(try EntryCalls.status(root.appending("sparse")).size == 1 << 20)
            default: #expect(try text(root.appending("x")) == "x")
            }
        }
        try await remove(erofs)
    }

    @Test("many entries take bounded memory: beyond the bound a layer is unpacked first")
    func bounds() async throws {
        let tar = try TestTar.make { tar in
            for number in 0..<300 { try tar.file("f\(number)", "x") }
        }
        var limits = ArchiveTree()
        limits.nodeLimit = 100
        let image = try ArchiveImage(scratch.path.appending("i"), limits: limits)
        let reader = TarReader(MemorySource(tar))
        #expect(throws: LayerNeedsTree.self) {
            while let entry = try reader.next() { try image.add(entry, at: reader.contentOffset) }
        }
    }

    @Test("images made from trees pass the checks of erofs-utils")
    func tools() async throws {
        let snapshotter = try SnapshotterKind.erofs.make(
            root: scratch.path.appending("s"), metadata: InMemorySnapshotMetadata())
        guard case .bind(let tree, false) = try await snapshotter.prepare("a", parent: nil) else {
            Issue.record("no directory to write to")
            return
        }
        try await EveryFile.make(in: tree)
        try await snapshotter.commit("a", as: "A")
        let image = image(of: tree)
        try await Command.run("fsck.erofs", [image.string])
        let dump = try await Command.run("dump.erofs", ["-s", image.string]).split(separator: "\n")
        let inodes = dump.first { $0.hasPrefix("Filesystem inode count:") }?.split(separator: " ").last
        _ = try await snapshotter.view("v", parent: "A")
        let shown = try await Command.run("find", [".", "-printf", "%i\n"], directory: tree.string)
        #expect(inodes.flatMap { Int($0) } == Set(shown.split(separator: "\n")).count)
        try await snapshotter.remove("v")
        try await snapshotter.remove("A")
    }

    @Test("a filesystem without fs-verity is no obstacle, and the daemon can say so")
    func verity() throws {
        let features = try SnapshotterKind.erofs.features(root: scratch.path)
        // Whatever this machine has, the answer is what the filesystem itself says.
        let file = scratch.path.appending("f")
        try Files.writeAtomically(file, [1])
        let opened = try Syscall.open(file, [.readOnly])
        defer { opened.close() }
        let works = (try? Syscall.enableVerity(opened.fd)) != nil
        #expect(features["fs-verity"] == works)
    }

    @Test("a layer goes without fs-verity where the filesystem has none, and only there")
    func withoutVerity() throws {
        // This kernel's own answers: of the scratch directory's filesystem, and of tmpfs, which has none.
        let memory = try scratch.directory("memory")
        try Syscall.mount(source: "tmpfs", target: memory, type: "tmpfs", flags: [])
        defer { try? Syscall.umount2(memory, .detach) }
        for directory in [scratch.path, memory] {
            try Files.writeAtomically(directory.appending("layer.erofs"), [1])
            try LayerImages().protect(directory)
            #expect(try LayerImages().hasVerity(in: directory) == false || directory != memory)
        }
        var images = LayerImages()
        for (code, hasNone) in [(ENOTTY, true), (EOPNOTSUPP, true), (EINVAL, true), (EEXIST, false), (ETXTBSY, false)] {
            images.enableVerity = { _ throws(Errno) in throw Errno(rawValue: code) }
            try images.protect(scratch.path)
            if hasNone { #expect(try !images.hasVerity(in: scratch.path)) }
        }
        for code in [EIO, ENOSPC, EPERM] {
            images.enableVerity = { _ throws(Errno) in throw Errno(rawValue: code) }
            #expect(throws: Errno(rawValue: code)) { try images.protect(scratch.path) }
            #expect(throws: Errno(rawValue: code)) { try images.hasVerity(in: scratch.path) }
        }
        images.enableVerity = { _ throws(Errno) in }
        #expect(try images.hasVerity(in: scratch.path))
        #expect(try Files.list(scratch.path).sorted() == ["layer.erofs", "memory"])
    }

    private func difference(_ before: String, _ after: String) -> String {
        let (old, new) = (before.split(separator: "\n"), after.split(separator: "\n"))
        return Set(old).symmetricDifference(Set(new)).sorted().prefix(6).joined(separator: "\n")
    }
}

extension Sequence {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
