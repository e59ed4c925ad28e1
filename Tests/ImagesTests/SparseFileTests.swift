import Core
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

@testable import Images

/// Sparse files in layers: their holes stay holes, in each of GNU tar's formats.
struct SparseFileTests {
    static let formats = [
        ["--format=gnu"], ["--format=posix", "--sparse-version=0.0"], ["--format=posix", "--sparse-version=0.1"],
        ["--format=posix", "--sparse-version=1.0"],
    ]

    private static let files = """
        import os
        def sparse(name, size, pieces):
            with open(name, "wb") as f:
                f.truncate(size)
                for offset, content in pieces:
                    f.seek(offset)
                    f.write(content)
        os.mkdir("d")
        sparse("d/many", 40 << 20, [(i * (1 << 20) + (1 << 19), os.urandom(4096 + i)) for i in range(40)])
        sparse("d/hole", 5 << 20, [])
        sparse("d/end", 3000001, [(2999999, b"xy")])
        sparse("d/start", 3000000, [(0, b"x" * 5000)])
        sparse("d/" + "long" * 40, 1 << 20, [(600000, b"long")])
        sparse("d/plain", 10, [(0, b"0123456789")])
        """

    @Test("holes stay holes and content comes where it was", arguments: formats)
    func unpacks(format: [String]) async throws {
        let storage = try Storage()
        let source = try storage.scratch.directory("source")
        try await Command.run("python3", ["-c", Self.files], directory: source.string)
        let tar = storage.scratch.appending("sparse.tar")
        try await Command.run("tar", format + ["--sparse", "-cf", tar.string, "d"], directory: source.string)
        let bytes = try Files.read(tar, limit: 64 << 20)
        #expect(bytes.count < 2 << 20, "GNU tar found no holes")
        let tree = try await storage.unpack(bytes).tree
        try await Command.run("diff", ["-r", source.string, tree.string])
        let many = try EntryCalls.status(tree.appending("d").appending("many"))
        #expect(many.size == 40 << 20)
        #expect(many.allocated < 1 << 20)
        #expect(try TreeUsage.measure(tree).bytes < 2 << 20)
    }

    @Test("the old format's header and map, byte by byte")
    func header() throws {
        var tar = TestTar()
        tar.sparse("s", size: 10_000, extents: [(512, 3), (8000, 4), (10_000, 0)], content: 7)
        let reader = TarReader(MemorySource(tar.bytes))
        let entry = try #require(try reader.next())
        #expect(entry.kind == .regular)
        #expect(entry.size == 10_000)
        #expect(entry.extents == [.init(offset: 512, count: 3), .init(offset: 8000, count: 4)])
        #expect(try reader.readContent(limit: 100, what: "s") == [UInt8](repeating: 0x61, count: 7))
        #expect(try reader.next() == nil)
    }

    @Test("an archive of images has no sparse members")
    func archive() throws {
        let content = try TestContent()
        let path = content.scratch.appending("sparse.tar")
        var tar = TestTar()
        tar.sparse("blobs/sha256/x", size: 10_000, extents: [(512, 3)], content: 3)
        try Files.writeAtomically(path, tar.bytes)
        let error = #expect(throws: BerthError.self) { try ArchiveImport(content: content.store).read(from: path) }
        #expect(error?.description.contains("sparse") == true)
    }
}
