import Core
import LinuxKernel
import SystemPackage
import TestSupport
import Testing

@testable import Images

/// Who brings the archive of a checkpoint may be anybody.
@Suite("Archives of checkpoints") struct CheckpointArchiveTests {
    private func unpack(_ entries: [(TarEntry, [UInt8])]) throws -> (scratch: ScratchDirectory, tree: FilePath) {
        let scratch = try ScratchDirectory("checkpoint")
        var bytes: [UInt8] = []
        var tar = TarWriter { bytes += Array($0) }
        for (entry, content) in entries { try tar.add(entry, content: content) }
        try tar.finish()
        let file = scratch.appending("archive.tar")
        try Files.writeAtomically(file, bytes)
        let tree = try scratch.directory("tree")
        let archive = try Syscall.open(file, [.readOnly])
        try CheckpointArchive.unpack(archive.fd, into: tree)
        return (scratch, tree)
    }

    private func entry(_ path: String, _ kind: TarEntry.Kind = .regular, target: String = "") -> TarEntry {
        TarEntry(kind: kind, path: Array(path.utf8), linkTarget: Array(target.utf8))
    }

    @Test func whatIsNeededIsTakenAndNothingElse() throws {
        let (scratch, tree) = try unpack([
            (entry("./", .directory), []), (entry("./config.dump"), Array("{}".utf8)),
            (entry("spec.dump"), Array("{}".utf8)), (entry("checkpoint/", .directory), []),
            (entry("checkpoint/pages-1.img"), [1, 2, 3]), (entry("./checkpoint/descriptors.json"), [4]),
            (entry("rootfs-diff.tar"), [5]), (entry("container.log"), [6]),
            (entry("status", .symlink, target: "/etc"), []),
            (entry("volumes/x/y"), [7]),
        ])
        defer { withExtendedLifetime(scratch) {} }
        #expect(try Files.list(tree).sorted() == ["checkpoint", "config.dump", "rootfs-diff.tar", "spec.dump"])
        #expect(try Files.list(tree.appending("checkpoint")).sorted() == ["descriptors.json", "pages-1.img"])
        #expect(try Files.read(tree.pushing("checkpoint/pages-1.img"), limit: 10) == [1, 2, 3])
        #expect(try Syscall.stat(tree.pushing("checkpoint/pages-1.img")).permissions == 0o600)
    }

    @Test(arguments: [
        ("../config.dump", TarEntry.Kind.regular, ""), ("checkpoint/../../x", .regular, ""),
        ("config.dump", .symlink, "/etc/shadow"), ("spec.dump", .hardLink, "/etc/shadow"),
        ("checkpoint", .symlink, "/etc"), ("checkpoint/pages-1.img", .symlink, "/etc/shadow"),
        ("checkpoint/sub/core-1.img", .regular, ""), ("checkpoint/sub", .directory, ""),
        ("checkpoint/a b", .regular, ""), ("checkpoint/dev", .characterDevice, ""), ("checkpoint/fifo", .fifo, ""),
        ("rootfs-diff.tar", .fifo, ""), ("deleted.files", .directory, ""),
    ])
    func whatCouldLeadAstrayIsRefused(_ path: String, _ kind: TarEntry.Kind, _ target: String) throws {
        let error = #expect(throws: BerthError.self) { _ = try unpack([(entry(path, kind, target: target), [])]) }
        #expect(error?.code == .invalidArgument, "\(path): \(String(describing: error))")
    }

    @Test func aMemberThatComesTwiceOrIsTooLargeIsRefused() throws {
        let twice = #expect(throws: BerthError.self) {
            _ = try unpack([(entry("config.dump"), [1]), (entry("./config.dump"), [2])])
        }
        #expect(twice?.message.contains("twice") == true)
        let large = #expect(throws: BerthError.self) {
            _ = try unpack([(entry("config.dump"), [UInt8](repeating: 32, count: CheckpointArchive.documentLimit + 1))])
        }
        #expect(large?.code == .resourceExhausted)
    }

    @Test func aTreeIsWrittenAsItIs() throws {
        let scratch = try ScratchDirectory("tree-archive")
        let tree = try scratch.directory("tree")
        try scratch.file("tree/b", "two")
        try scratch.file("tree/a/one", "one")
        let file = scratch.appending("tree.tar")
        let output = try Syscall.open(file, [.writeOnly, .create], mode: 0o600)
        try TreeArchive.write(tree, to: output.fd)
        let reader = TarReader(FileSource(try Syscall.open(file, [.readOnly])))
        var names: [String] = []
        while let entry = try reader.next() { names.append(String(decoding: entry.path, as: UTF8.self)) }
        #expect(names == ["a/", "a/one", "b"])
    }
}
