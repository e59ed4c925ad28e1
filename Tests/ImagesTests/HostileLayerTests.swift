import Core
import Images
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

/// Archives that no builder writes in good faith: each gives one clear error, and nothing appears outside or stays behind.
struct HostileLayerTests {
    struct Hostile: Sendable, CustomTestStringConvertible {
        let name: String
        let code: BerthError.Code
        /// Part of the error's text.
        let says: String
        let tar: @Sendable () throws -> [UInt8]

        var testDescription: String { name }

        init(
            _ name: String, _ says: String, code: BerthError.Code = .invalidArgument,
            _ build: @escaping @Sendable (inout TestTar) throws -> Void
        ) {
            self.name = name
            self.code = code
            self.says = says
            tar = { try TestTar.make(build) }
        }
    }

    static let corpus: [Hostile] = [
        Hostile("dot-dot", "\"..\"") { try $0.file("../escape", "x") },
        Hostile("dot-dot inside", "\"..\"") { try $0.file("a/../../escape", "x") },
        Hostile("absolute", "absolute") { try $0.file("/tmp/berth-escape", "x") },
        Hostile("write through a link to outside", "leads nowhere") {
            try $0.symlink("x", to: "/tmp/berth-outside")
            try $0.file("x/escape", "x")
        },
        Hostile("write through a relative link", "leads nowhere") {
            try $0.symlink("x", to: "../../../../../tmp/berth-outside")
            try $0.file("x/escape", "x")
        },
        Hostile("whiteout through a link", "leads nowhere") {
            try $0.symlink("x", to: "/tmp/berth-outside")
            try $0.file("x/.wh.escape")
        },
        Hostile("opaque through a link", "leads nowhere") {
            try $0.symlink("x", to: "/tmp/berth-outside")
            try $0.file("x/.wh..wh..opq")
        },
        Hostile("links in a circle", "loop") {
            try $0.symlink("a", to: "b")
            try $0.symlink("b", to: "a")
            try $0.file("a/x", "x")
        },
        Hostile("hard link to outside", "\"..\"") { try $0.hardLink("x", to: "../../../etc/passwd") },
        Hostile("hard link to an absolute path", "does not exist in the image") {
            try $0.hardLink("x", to: "/etc/passwd")
        },
        Hostile("hard link through a link", "does not exist in the image") {
            try $0.symlink("x", to: "/etc")
            try $0.hardLink("y", to: "x/passwd")
        },
        Hostile("hard link to a directory", "does not exist in the image") {
            try $0.directory("d")
            try $0.hardLink("x", to: "d")
        },
        Hostile("hard link to itself", "refused") { try $0.hardLink("x", to: "x") },
        Hostile("file as a directory", "it is none") {
            try $0.file("x", "x")
            try $0.file("x/y", "y")
        },
        Hostile("empty whiteout", "whiteout without a name") { try $0.file("d/.wh.", "") },
        Hostile("whiteout of dot-dot", "whiteout without a name") { try $0.file("d/.wh...", "") },
        Hostile("whiteout smuggled as a device", "0:0") {
            try $0.add(TarEntry(kind: .characterDevice, path: Array("etc".utf8)))
        },
        Hostile("overlay attribute", "must not steer overlayfs") {
            try $0.add(
                TarEntry(
                    kind: .directory, path: Array("d".utf8),
                    attributes: [.init(name: Array("trusted.overlay.redirect".utf8), value: Array("/etc".utf8))]))
        },
        Hostile("root is a file", "not a directory") { try $0.file(".", "x") },
        Hostile("NUL in a PAX path", "NUL") {
            $0.raw(
                name: Array("h".utf8), type: "x", size: octal(14),
                content: Array("14 path=a\u{0}bcd\n".utf8).prefix(14).map { $0 })
            try $0.file("plain", "x")
        },
        Hostile("PAX record without end", "malformed record") {
            $0.raw(name: Array("h".utf8), type: "x", size: octal(9), content: Array("9999 a=b\n".utf8))
            try $0.file("plain", "x")
        },
        Hostile("huge PAX header", "more than the limit", code: .resourceExhausted) {
            $0.raw(name: Array("h".utf8), type: "x", size: octal(1 << 30))
        },
        Hostile("huge GNU name", "more than the limit", code: .resourceExhausted) {
            $0.raw(name: Array("h".utf8), type: "L", size: octal(1 << 31))
        },
        Hostile("long path", "longer than 4096") {
            try $0.file(String(repeating: "a/", count: 3000) + "x", "x")
        },
        Hostile("long component", "unpack") { try $0.file(String(repeating: "a", count: 300), "x") },
        Hostile("negative size", "malformed size") {
            $0.raw(name: Array("h".utf8), type: "0", size: [0xff] + [UInt8](repeating: 0xff, count: 11))
        },
        Hostile("size beyond 64 bits", "malformed size") {
            $0.raw(name: Array("h".utf8), type: "0", size: [0x80] + [UInt8](repeating: 0xff, count: 11))
        },
        Hostile("size beyond the archive", "truncated") {
            $0.raw(name: Array("h".utf8), type: "0", size: octal(1 << 32))
        },
        Hostile("sparse file", "sparse", code: .unimplemented) {
            $0.raw(name: Array("h".utf8), type: "S", size: octal(0), magic: "ustar  \u{0}")
        },
        Hostile("unknown type", "unknown type") { $0.raw(name: Array("h".utf8), type: "Z", size: octal(0)) },
        Hostile("wrong checksum", "checksum") { $0.append([UInt8](repeating: 0x41, count: 512)) },
        Hostile("empty name", "empty name") { $0.raw(name: [], type: "0", size: octal(0)) },
        Hostile("truncated header", "truncated") { tar in
            try tar.file("a", "x")
            tar.append(Array("abc".utf8))
        },
    ]

    @Test("each hostile layer is refused with a clear error and leaves nothing", arguments: corpus)
    func refused(hostile: Hostile) async throws {
        let storage = try Storage()
        var tar = try hostile.tar()
        if hostile.name == "truncated header" { tar.removeLast(1024) }
        let layer = try storage.layer(tar)
        let before = try HostSnapshot(of: storage.scratch.path, mark: storage.scratch.path.string)
        let outside = Set(
            try Files.list("/tmp").filter { $0.hasPrefix("berth-escape") || $0.hasPrefix("berth-outside") })

        let unpacker = ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter)
        let error = await #expect(throws: BerthError.self) {
            try await unpacker.unpack(layers: [layer], diffIDs: [layer.digest])
        }

        #expect(error?.code == hostile.code, "\(String(describing: error))")
        #expect(error.map { "\($0)".contains(hostile.says) } == true, "\(String(describing: error))")
        #expect(
            try HostSnapshot(of: storage.scratch.path, mark: storage.scratch.path.string).added(since: before) == [])
        #expect(
            Set(try Files.list("/tmp").filter { $0.hasPrefix("berth-escape") || $0.hasPrefix("berth-outside") })
                == outside)
    }

    @Test("limits on entries, content and decompressed size hold")
    func limits() async throws {
        let storage = try Storage()
        let many = try TestTar.make { tar in for number in 0..<50 { try tar.file("f\(number)", "0123456789") } }
        for (configure, says) in [
            ({ (unpacker: inout LayerUnpacker) in unpacker.limits.entries = 10 }, "more than 10 entries"),
            ({ (unpacker: inout LayerUnpacker) in unpacker.limits.content = 100 }, "limit of 100 bytes"),
            ({ (unpacker: inout LayerUnpacker) in unpacker.decompressedLimit = 4096 }, "limit of 4096 bytes"),
        ] {
            let error = await #expect(throws: BerthError.self) { try await storage.unpack(many, configure: configure) }
            #expect(error?.code == .resourceExhausted)
            #expect(error.map { "\($0)".contains(says) } == true, "\(String(describing: error))")
        }
    }

    @Test("a wrong diffID is refused")
    func wrongDiffID() async throws {
        let storage = try Storage()
        let layer = try storage.layer(TestTar.make { try $0.file("a", "x") })
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter)
        let error = await #expect(throws: BerthError.self) {
            try await unpacker.unpack(layers: [layer], diffIDs: [try Digest.of([1])])
        }
        #expect(error?.code == .dataLoss)
        #expect(try Files.list(storage.snapshotter.root) == [])
    }

    @Test("every cut of an archive is an error or a shorter archive, never a crash")
    func truncatedAnywhere() async throws {
        let storage = try Storage()
        let tar = try TestTar.make { tar in
            try tar.directory("d")
            try tar.file("d/" + String(repeating: "n", count: 150), String(repeating: "x", count: 700))
            try tar.symlink("l", to: "d")
        }
        for length in stride(from: 1, to: tar.count - 1024, by: 197) {
            _ = try? await storage.unpack(Array(tar.prefix(length)))
        }
    }
}
