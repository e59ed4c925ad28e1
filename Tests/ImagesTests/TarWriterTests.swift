internal import Core
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

@testable internal import Images

struct TarWriterTests {
    @Test("a directory of before POSIX, a file with a slash at the end, has no content whatever its size says")
    func directoryWithContent() throws {
        let tar = try TestTar.make { tar in
            tar.raw(
                name: Array("d/".utf8), type: "0", size: octal(526), content: [UInt8](repeating: 1, count: 526),
                magic: String(repeating: "\0", count: 8))
            try tar.file("d/x", "x")
        }
        let reader = TarReader(MemorySource(tar))
        let directory = try #require(try reader.next())
        #expect(directory.kind == .directory && directory.size == 0)
        try reader.readContent { _ in Issue.record("content of a directory") }
        #expect(try reader.next()?.path == Array("d/x".utf8))
    }

    @Test("a header, byte by byte")
    func header() throws {
        let tar = try written([
            (
                TarEntry(path: Array("a/b".utf8), mode: 0o4755, owner: 1000, group: 8, modifiedSeconds: 1),
                Array("hi".utf8)
            )
        ])
        var expected = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) {
            expected.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
        }
        put("a/b", at: 0)  // name
        put("0004755", at: 100)  // mode, NUL
        put("0001750", at: 108)  // uid
        put("0000010", at: 116)  // gid
        put("00000000002", at: 124)  // size
        put("00000000001", at: 136)  // mtime
        put("0", at: 156)  // regular file
        put("ustar", at: 257)  // magic, NUL
        put("00", at: 263)  // version
        put("0000000", at: 329)  // device major
        put("0000000", at: 337)  // device minor
        // The checksum counts its own eight bytes as spaces; six digits, NUL, space.
        let sum = expected.reduce(8 * 0x20) { $0 + Int($1) }
        put("00" + String(sum, radix: 8), at: 148)
        put(" ", at: 155)
        #expect(Array(tar[..<512]) == expected)
        #expect(Array(tar[512..<1024]) == Array("hi".utf8) + [UInt8](repeating: 0, count: 510))
        // Two zero blocks.
        #expect(Array(tar[1024...]) == [UInt8](repeating: 0, count: 1024))
    }

    @Test("a PAX header stands before what does not fit")
    func paxHeader() throws {
        let name = String(repeating: "n", count: 101)
        let tar = try written([(TarEntry(path: Array(name.utf8)), [])])
        // Type x, and a record whose length counts itself: 3 digits, space, "path=", 101 bytes, newline.
        #expect(tar[156] == UInt8(ascii: "x"))
        #expect(Array(tar[512..<623]) == Array("111 path=\(name)\n".utf8))
        #expect(tar[1024 + 156] == UInt8(ascii: "0"))
        #expect(Array(tar[1024..<1124]) == Array(name.utf8.prefix(100)))
    }

    static let entries: [TarEntry] = [
        TarEntry(kind: .directory, path: Array("dir/".utf8), mode: 0o1777), TarEntry(path: Array("plain".utf8)),
        TarEntry(path: [UInt8](repeating: 0x61, count: 100)), TarEntry(path: [UInt8](repeating: 0x61, count: 101)),
        TarEntry(path: Array("dir/\(String(repeating: "long/", count: 300))end".utf8)),
        TarEntry(path: Array("ünïcode/名前".utf8)), TarEntry(path: [0x66, 0xff, 0xfe]),
        TarEntry(path: Array("new\nline=x".utf8)),
        TarEntry(kind: .symlink, path: Array("link".utf8), linkTarget: [UInt8](repeating: 0x62, count: 400)),
        TarEntry(kind: .hardLink, path: Array("hard".utf8), linkTarget: Array("plain".utf8)),
        TarEntry(path: Array("ids".utf8), owner: 2_097_151, group: 2_097_152),
        TarEntry(path: Array("big ids".utf8), owner: 4_294_967_294, group: 4_294_967_294),
        TarEntry(path: Array("old".utf8), modifiedSeconds: -1),
        TarEntry(path: Array("older".utf8), modifiedSeconds: -1, modifiedNanoseconds: 750_000_000),
        TarEntry(path: Array("oldest".utf8), modifiedSeconds: -62_135_596_800, modifiedNanoseconds: 1),
        TarEntry(path: Array("fraction".utf8), modifiedSeconds: 1_700_000_000, modifiedNanoseconds: 5),
        TarEntry(path: Array("late".utf8), modifiedSeconds: 8_589_934_592),
        TarEntry(kind: .characterDevice, path: Array("null".utf8), deviceMajor: 1, deviceMinor: 3),
        TarEntry(kind: .blockDevice, path: Array("disk".utf8), deviceMajor: 4095, deviceMinor: 1_048_575),
        TarEntry(kind: .fifo, path: Array("pipe".utf8)),
        TarEntry(
            path: Array("attributes".utf8),
            attributes: [
                .init(name: Array("user.plain".utf8), value: Array("a=b\nc".utf8)),
                .init(name: Array("security.capability".utf8), value: [1, 0, 0, 2, 0, 0xff]),
                .init(name: Array("user.empty".utf8), value: []), .init(name: Array("user.".utf8) + [0xff], value: [0]),
            ]),
    ]

    @Test("what is written is what is read", arguments: entries.indices)
    func roundTrip(index: Int) throws {
        let entry = Self.entries[index]
        let content: [UInt8] = entry.kind == .regular ? Array("content of \(index)".utf8) : []
        let reader = TarReader(MemorySource(try written([(entry, content)])))
        let read = try #require(try reader.next())
        #expect(read.kind == entry.kind)
        #expect(read.path == entry.path)
        #expect(read.linkTarget == entry.linkTarget)
        #expect(read.mode == entry.mode)
        #expect(read.owner == entry.owner && read.group == entry.group)
        #expect(read.modifiedSeconds == entry.modifiedSeconds && read.modifiedNanoseconds == entry.modifiedNanoseconds)
        #expect(read.deviceMajor == entry.deviceMajor && read.deviceMinor == entry.deviceMinor)
        #expect(read.attributes == entry.attributes)
        #expect(try reader.readContent(limit: 100, what: "") == content)
        #expect(try reader.next() == nil)
    }

    @Test("every length of a PAX record counts itself")
    func recordLengths() throws {
        for count in Array(80..<110) + Array(960..<1010) {
            let entry = TarEntry(
                path: [UInt8](repeating: 0x61, count: 101), linkTarget: [],
                attributes: [.init(name: [0x75], value: [UInt8](repeating: 0x78, count: count))])
            let reader = TarReader(MemorySource(try written([(entry, [])])))
            #expect(try reader.next()?.attributes == entry.attributes)
        }
    }

    @Test("a size beyond eleven octal digits goes into a record")
    func hugeSize() {
        let records = TarHeaderEncoder.records(of: TarEntry(path: [0x61], size: 8_589_934_592))
        #expect(records == Array("19 size=8589934592\n".utf8))
    }

    @Test("times before 1970 are signed decimals, as GNU tar writes them (it reads back -0.25 as 0.25)")
    func negativeTimes() {
        for (seconds, nanoseconds, text) in [
            (-1, 750_000_000, "-0.250000000"), (-2, 500_000_000, "-1.500000000"), (-1, 0, "-1"),
        ] {
            let entry = TarEntry(path: [0x61], modifiedSeconds: Int64(seconds), modifiedNanoseconds: Int64(nanoseconds))
            let records = String(decoding: TarHeaderEncoder.records(of: entry), as: UTF8.self)
            #expect(records.hasSuffix(" mtime=\(text)\n"))
        }
    }

    @Test("GNU tar lists and extracts what was written")
    func gnuTar() async throws {
        let scratch = try ScratchDirectory("tar")
        let file = scratch.appending("x.tar")
        try Files.writeAtomically(
            file, try written(Self.entries.map { ($0, $0.kind == .regular ? Array("content".utf8) : []) }))
        let listing = try await Command.run(
            "env", ["TZ=UTC", "LC_ALL=C", "tar", "--numeric-owner", "--full-time", "-tvf", file.string])
        let lines = listing.split(separator: "\n")
        #expect(lines.count == Self.entries.count)
        #expect(listing.contains("4294967294/4294967294"))
        #expect(listing.contains("2097151/2097152"))
        #expect(lines.contains { $0.contains("1969-12-31 23:59:59") && $0.hasSuffix(" old") })
        #expect(lines.contains { $0.contains("2023-11-14 22:13:20.000000005") })
        #expect(lines.contains { $0.contains("4095,1048575") })

        let target = try scratch.directory("out")
        // Names that are no UTF-8 are in it.
        defer { try? EntryCalls.removeTree(target) }
        try await Command.run(
            "tar", ["--exclude=null", "--exclude=disk", "--no-same-owner", "-xf", file.string, "-C", target.string])
        #expect(try Files.readText(target.appending("hard")) == "content")
        let directory = try Syscall.open(target, [.path, .directory])
        defer { directory.close() }
        #expect(try Syscall.readlinkat("link", in: directory.fd).utf8.count == 400)
    }

    @Test("content has to be what the entry says, and one entry ends before the next")
    func contract() throws {
        var tar = TarWriter { _ in }
        try tar.begin(TarEntry(path: [0x61], size: 3))
        [1, 2].withUnsafeBytes { bytes in
            #expect(throws: BerthError.self) { try tar.end() }
            #expect(throws: BerthError.self) { try tar.begin(TarEntry(path: [0x62])) }
            #expect(throws: BerthError.self) { try tar.write(bytes) }
        }
        var other = TarWriter { _ in }
        #expect(throws: BerthError.self) { try other.begin(TarEntry(path: [0x61], size: -1)) }
        #expect(throws: BerthError.self) {
            try other.add(TarEntry(path: [0x61], attributes: [.init(name: Array("a=b".utf8), value: [])]))
        }
    }

    private func written(_ entries: [(TarEntry, [UInt8])]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try withoutActuallyEscaping({ (piece: UnsafeRawBufferPointer) in bytes += piece }) {
            var tar = TarWriter($0)
            for (entry, content) in entries { try tar.add(entry, content: content) }
            try tar.finish()
        }
        return bytes
    }
}
