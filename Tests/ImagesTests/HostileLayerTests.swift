import Core
import Foundation
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
        Hostile("a name that would begin another line of a log", "\"../one?two?[31m\"") {
            try $0.file("../one\ntwo\u{1b}[31m", "x")
        },
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
        Hostile("PAX headers without end", "more than 512 extended attributes", code: .resourceExhausted) { tar in
            for number in 0..<600 {
                tar.pax("SCHILY.xattr.user.\(number)=xxx", type: number % 2 == 0 ? "x" : "g")
                tar.pax("SCHILY.xattr.user.more.\(number)=xxx", type: "g")
            }
            try tar.file("plain", "x")
        },
        Hostile("large attributes in many headers", "bytes of them", code: .resourceExhausted) { tar in
            let value = String(repeating: "v", count: 60_000)
            for number in 0..<9 {
                let record = "60027 SCHILY.xattr.user.\(number)=" + value + "\n"
                tar.raw(
                    name: Array("h".utf8), type: "x", size: octal(record.utf8.count), content: Array(record.utf8))
            }
            try tar.file("plain", "x")
        },
        Hostile("sparse file with a piece beyond its end", "malformed map") {
            $0.sparse(size: 1000, extents: [(900, 512)], content: 512)
        },
        Hostile("sparse file with pieces over each other", "malformed map") {
            $0.sparse(size: 100_000, extents: [(0, 512), (511, 512)], content: 1024)
        },
        Hostile("sparse file with more content than its map", "malformed map") {
            $0.sparse(size: 100_000, extents: [(0, 512)], content: 1024)
        },
        Hostile("sparse file without end", "larger than the limit", code: .resourceExhausted) {
            $0.sparse(size: 1 << 62, extents: [], content: 0)
        },
        Hostile("sparse map without end", "more than 100000 pieces", code: .resourceExhausted) {
            $0.pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=5")
            $0.raw(name: Array("h".utf8), type: "0", size: octal(512), content: Array("999999999999\n".utf8))
        },
        Hostile("sparse map that is none", "malformed map") {
            $0.pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=5")
            $0.raw(name: Array("h".utf8), type: "0", size: octal(512), content: Array("1\n-5\n".utf8))
        },
        Hostile("sparse map longer than the content", "malformed map") {
            $0.pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=5")
            $0.raw(
                name: Array("h".utf8), type: "0", size: octal(512),
                content: Array("300\n".utf8) + [UInt8](repeating: 0x30, count: 508))
        },
        Hostile("sparse size missing", "malformed size") {
            $0.pax("GNU.sparse.map=0,1")
            $0.raw(name: Array("h".utf8), type: "0", size: octal(1), content: [1])
        },
        Hostile("sparse files of an unknown version", "unknown version", code: .unimplemented) {
            $0.pax("GNU.sparse.major=2", "GNU.sparse.minor=0", "GNU.sparse.realsize=5")
            try $0.file("plain", "x")
        },
        Hostile("sparse name that leads out", "\"..\"") {
            $0.pax("GNU.sparse.name=../escape", "GNU.sparse.size=1", "GNU.sparse.map=0,1")
            $0.raw(name: Array("h".utf8), type: "0", size: octal(1), content: [1])
        },
        Hostile("sparse header for all files", "one for all") {
            $0.pax("GNU.sparse.size=1", type: "g")
            try $0.file("plain", "x")
        },
        Hostile("unknown type", "unknown type") { $0.raw(name: Array("h".utf8), type: "Z", size: octal(0)) },
        Hostile("wrong checksum", "checksum") { $0.append([UInt8](repeating: 0x41, count: 512)) },
        Hostile("empty name", "empty name") { $0.raw(name: [], type: "0", size: octal(0)) },
        Hostile("truncated header", "truncated") { tar in
            try tar.file("a", "x")
            tar.append(Array("abc".utf8))
        },
    ]

    /// The whole host is compared once around all of them, since that takes longer than they do, and the files that a layer
    /// could have made after each.
    @Test(
        "each hostile layer is refused with a clear error and leaves nothing",
        arguments: [SnapshotterKind.overlayfs, .erofs])
    func refused(kind: SnapshotterKind) async throws {
        let storage = try Storage()
        let snapshotter = try kind.make(root: storage.snapshotter.root, metadata: InMemorySnapshotMetadata())
        let mark = storage.scratch.path.string
        let before = try HostSnapshot(of: storage.snapshotter.root, "/etc", mark: mark)
        let outside = try Self.outside()
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: snapshotter)
        for hostile in Self.corpus {
            var tar = try hostile.tar()
            if hostile.name == "truncated header" { tar.removeLast(1024) }
            let layer = try storage.layer(tar)
            let error = await #expect(throws: BerthError.self, "\(hostile.name)") {
                try await unpacker.unpack(layers: [layer], diffIDs: [layer.digest])
            }
            #expect(error?.code == hostile.code, "\(hostile.name): \(String(describing: error))")
            #expect(
                error.map { "\($0)".contains(hostile.says) } == true,
                "\(hostile.name): \(String(describing: error))")
            #expect(try Files.list(storage.snapshotter.root) == [], "\(hostile.name)")
            #expect(try Self.outside() == outside, "\(hostile.name)")
        }
        let added = try HostSnapshot(of: storage.snapshotter.root, "/etc", mark: mark).added(since: before)
        #expect(added.filter { !$0.hasPrefix("link ") } == [])
    }

    private static func outside() throws -> Set<String> {
        Set(try Files.list("/tmp").filter { $0.hasPrefix("berth-escape") || $0.hasPrefix("berth-outside") })
    }

    @Test("the same by the snapshotter that unpacks into whole trees")
    func refusedInPlace() async throws {
        let storage = try Storage()
        let root = storage.scratch.path.appending("native")
        let snapshotter = try NativeSnapshotter(root: root, metadata: InMemorySnapshotMetadata())
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: snapshotter)
        let outside = try Self.outside()
        // A deletion of what is not there means nothing in a whole tree; it must only not reach out of it.
        let harmless = ["whiteout through a link", "opaque through a link"]
        for hostile in Self.corpus where hostile.name != "truncated header" {
            let layer = try storage.layer(hostile.tar())
            do {
                _ = try await unpacker.unpack(layers: [layer], diffIDs: [layer.digest])
                #expect(harmless.contains(hostile.name), "\(hostile.name) was unpacked")
                try await snapshotter.remove("\(layer.digest)")
            } catch {
                #expect(error is BerthError, "\(hostile.name): \(error)")
            }
            #expect(try Files.list(root) == [], "\(hostile.name)")
            #expect(try Self.outside() == outside, "\(hostile.name)")
        }
    }

    @Test("a bomb is stopped at the limit, whatever it is compressed with")
    func bomb() async throws {
        let storage = try Storage()
        let file = storage.scratch.path.appending("bomb.gz")
        // 4 GiB of zeros in 4 MiB, behind the header of a file that claims them.
        try await Command.run(
            "python3",
            [
                "-c",
                """
                import sys, tarfile, gzip
                header = tarfile.TarInfo("bomb"); header.size = 4 << 30
                with gzip.open(sys.argv[1], "wb", 1) as out:
                    out.write(header.tobuf())
                    for _ in range(64): out.write(bytes(1 << 20))
                """, file.string,
            ])
        let bytes = try Files.read(file, limit: 64 << 20)
        let layer = Descriptor(
            mediaType: .layerGzip, digest: try storage.content.write(bytes), size: Int64(bytes.count))
        var unpacker = LayerUnpacker()
        unpacker.limits.content = 16 << 20
        let images = ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter, unpacker: unpacker)
        let error = await #expect(throws: BerthError.self) {
            try await images.unpack(layers: [layer], diffIDs: [layer.digest])
        }
        #expect(error?.code == .resourceExhausted, "\(String(describing: error))")
        #expect(try Files.list(storage.snapshotter.root) == [])
    }

    /// Writes a layer of as many entries as its second argument says, each with a name of its own: a directory, then two empty files.
    private static let manyEntries = """
        import gzip, sys, tarfile
        def template(type, mode):
            info = tarfile.TarInfo("x" * 24)
            info.type, info.mode = type, mode
            block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
            block[0:24] = bytes(24)
            block[148:156] = b" " * 8
            return bytes(block[24:148]), bytes(block[156:]), sum(block)
        kinds = [template(tarfile.DIRTYPE, 0o755), template(tarfile.REGTYPE, 0o600), template(tarfile.REGTYPE, 0o644)]
        with gzip.open(sys.argv[1], "wb", 1) as out:
            for start in range(0, int(sys.argv[2]), 3000):
                blocks = []
                for number in range(start, min(start + 3000, int(sys.argv[2]))):
                    head, tail, total = kinds[number % 3]
                    name = b"d%09d" % (number // 3) + (b"/file-%d" % (number % 3) if number % 3 else b"")
                    blocks += [name.ljust(24, b"\\0"), head, b"%06o\\0 " % (total + sum(name)), tail]
                out.write(b"".join(blocks))
            out.write(bytes(1024))
        """

    /// As many entries as a layer may have at the most in good faith take minutes: a part of them does for every run, and
    /// BERTH_TEST_ENTRIES=1000000 asks for them all.
    private static let entries = ProcessInfo.processInfo.environment["BERTH_TEST_ENTRIES"].flatMap(Int.init) ?? 30_000

    @Test("very many entries take little memory", arguments: [SnapshotterKind.overlayfs, .erofs])
    func manyEntries(kind: SnapshotterKind) async throws {
        let storage = try Storage()
        let file = storage.scratch.path.appending("layer.gz")
        try await Command.run("python3", ["-c", Self.manyEntries, file.string, "\(Self.entries)"])
        let bytes = try Files.read(file, limit: 64 << 20)
        let layer = Descriptor(
            mediaType: .layerGzip, digest: try storage.content.write(bytes), size: Int64(bytes.count))
        let diffID = try await Command.run("sh", ["-c", "gunzip -c \(file) | sha256sum"]).prefix(64)
        let snapshotter = try kind.make(root: storage.snapshotter.root, metadata: InMemorySnapshotMetadata())
        let unpacker = ImageUnpacker(content: storage.content, snapshotter: snapshotter)
        let growth = try await PeakMemory.growth {
            try await unpacker.unpack(layers: [layer], diffIDs: [try Digest("sha256:\(diffID)")])
        }
        // The whole is held to what the daemon promises of any image.
        let bound = Self.entries > 30_000 ? 256 << 20 : 32 << 20
        #expect(growth < bound, "\(growth >> 20) MiB")
        let tree = try #require(try await snapshotter.layerDirectories("sha256:\(diffID)").first)
        #expect(try Files.list(tree).count == (Self.entries + 2) / 3)
        let whole = String(Self.entries / 3 - 1)
        let name = "d" + String(repeating: "0", count: 9 - whole.count) + whole
        #expect(try Files.list(tree.appending(name)) == ["file-1", "file-2"])
        try await snapshotter.remove("sha256:\(diffID)")
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
