import Core
import LinuxKernel
import SystemPackage
import TestSupport
import Testing

@testable import Images

/// Directories of which there are more than memory is meant for.
struct PendingDirectoriesTests {
    private let scratch = try! ScratchDirectory("pending")

    private func metadata(_ number: Int) throws -> DirectoryMetadata {
        try DirectoryMetadata(
            TarEntry(
                mode: UInt32(number & 0o777), owner: UInt32(number), group: UInt32(number + 1),
                modifiedSeconds: Int64(-number), modifiedNanoseconds: 999_999_999,
                attributes: [
                    .init(name: Array("user.a".utf8), value: [UInt8](repeating: 7, count: number)),
                    .init(name: Array("security.selinux".utf8), value: [1]),
                ]))
    }

    @Test("what waits in the file is what was put there, and what was said last comes last")
    func overflow() throws {
        var pending = PendingDirectories(scratch: scratch.path)
        pending.limit = 7
        let count = 100
        for number in 0..<count {
            try pending.describe(LayerPath(entry: Array("d/\(number)".utf8)), metadata(number))
        }
        try pending.describe(LayerPath(entry: Array("d/3".utf8)), metadata(1000))
        var found: [LayerPath: DirectoryMetadata] = [:]
        try pending.drain { found[$0] = $1 }
        #expect(found.count == count)
        for number in 0..<count {
            let expected = try metadata(number == 3 ? 1000 : number)
            #expect(expected.attributes.count == 1, "the host's own label is none of the layer's")
            #expect(found[try LayerPath(entry: Array("d/\(number)".utf8))] == expected)
        }
        #expect(try Files.list(scratch.path) == [])
    }

    @Test("bytes of attributes count too")
    func bytes() throws {
        var pending = PendingDirectories(scratch: scratch.path)
        pending.byteLimit = 10_000
        for number in 0..<50 {
            try pending.describe(LayerPath(entry: Array("\(number)".utf8)), metadata(900))
        }
        var found = 0
        try pending.drain { _, metadata in found += metadata.attributes[0].value.count }
        #expect(found == 50 * 900)
    }

    @Test("a directory that is gone is applied to nothing, and one that came after it keeps its own")
    func removed() throws {
        let tree = try scratch.directory("tree")
        let tar = try TestTar.make { tar in
            for number in 0..<20 { try tar.directory("d\(number)/e/f", mode: 0o700) }
            try tar.file("d1", "a file now")
            try tar.directory("d2", mode: 0o711)
            try tar.symlink("d3", to: "d4")
        }
        let writer = try TreeWriter(tree: tree, form: .overlayUpper)
        writer.directories.limit = 5
        let reader = TarReader(MemorySource(tar))
        while let entry = try reader.next() { try writer.write(entry, from: reader) }
        try writer.finish()
        #expect(try EntryCalls.status(tree.appending("d1")).kind == .regular)
        #expect(try EntryCalls.status(tree.appending("d2")).permissions == 0o711)
        #expect(try EntryCalls.status(tree.appending("d3")).kind == .symlink)
        #expect(try EntryCalls.status(tree.pushing("d4/e/f")).permissions == 0o700)
        #expect(try EntryCalls.status(tree.pushing("d4/e")).permissions == 0o755)
    }

    @Test("more undescribed directories than are remembered are looked up over a mount of what is below")
    func undescribed() async throws {
        let storage = try Storage()
        let (lower, _) = try await storage.unpack(TestTar.make { try $0.directory("a/b", mode: 0o1770) })
        let tree = try scratch.directory("upper")
        let writer = try TreeWriter(tree: tree, form: .overlayUpper)
        writer.directories.undescribedLimit = 2
        let reader = TarReader(MemorySource(try TestTar.make { try $0.file("a/b/c/d/e", "x") }))
        while let entry = try reader.next() { try writer.write(entry, from: reader) }
        try writer.finish()
        #expect(throws: LayerNeedsParents.self) { try writer.settle(over: LowerLayers([lower])) }
        // The lowest layer has nothing to look up.
        try writer.settle(over: LowerLayers([]))
    }
}
