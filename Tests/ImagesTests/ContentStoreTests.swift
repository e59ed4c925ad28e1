import Core
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

@testable import Images

struct ContentStoreTests {
    let scratch: ScratchDirectory
    let store: ContentStore

    init() throws {
        scratch = try ScratchDirectory("content")
        store = try ContentStore(root: scratch.path.appending("content"))
    }

    @Test("what is written is found under its digest and nothing else is left", arguments: Digest.Algorithm.allCases)
    func writes(algorithm: Digest.Algorithm) throws {
        let bytes = Array("hello".utf8)
        let digest = try Digest.of(bytes, algorithm: algorithm)
        let writer = try store.ingest("a", algorithm: algorithm)
        try writer.write(Array(bytes[..<2]))
        #expect(!store.contains(digest))
        #expect(try store.ingests().map(\.reference) == ["a"])
        try writer.write(Array(bytes[2...]))
        #expect(try writer.commit(expecting: digest, size: 5) == digest)
        #expect(try store.read(digest, limit: 5) == bytes)
        #expect(try store.info(digest).size == 5)
        #expect(try store.list().map(\.digest) == [digest])
        #expect(try store.ingests().isEmpty)
        #expect(try Files.list(scratch.path.pushing("content/ingest")) == [])
        try store.delete(digest)
        #expect(throws: BerthError.self) { try store.info(digest) }
    }

    @Test("an interrupted write goes on where it stopped, also in another process")
    func resumes() throws {
        let started: Int64
        do {
            let writer = try store.ingest("r")
            try writer.write(Array("first ".utf8))
            started = writer.status.started
            writer.suspend()
        }
        let other = try ContentStore(root: store.root)
        let writer = try other.ingest("r")
        #expect(writer.offset == 6)
        #expect(writer.status.started == started)
        #expect(try other.ingests().map(\.started) == [started])
        #expect(writer.status.updated > started)
        try writer.write(Array("second".utf8))
        let digest = try writer.commit(expecting: Digest.of(Array("first second".utf8)))
        #expect(try store.read(digest, limit: 100) == Array("first second".utf8))
    }

    @Test("wrong digest and size are refused, and what was written is not named")
    func refuses() throws {
        let writer = try store.ingest("w", total: 3)
        try writer.write([1, 2, 3])
        #expect(throws: BerthError.self) { try writer.write([4]) }
        let digest = try Digest.of([1, 2, 3])
        #expect(throws: BerthError.self) { try writer.commit(expecting: digest, size: 4) }
        #expect(throws: BerthError.self) { try writer.commit(expecting: try Digest.of([9])) }
        #expect(try store.list().isEmpty)
        writer.abort()
        #expect(try store.ingests().isEmpty)
        #expect(throws: BerthError.self) { try writer.write([1]) }
    }

    @Test("two writers of one reference do not mix")
    func exclusive() throws {
        let writer = try store.ingest("x")
        let error = #expect(throws: BerthError.self) { try store.ingest("x") }
        #expect(error?.code == .unavailable)
        #expect(throws: BerthError.self) { try store.abortIngest("x") }
        writer.suspend()
        try store.abortIngest("x")
        #expect(try store.ingests().isEmpty)
    }

    @Test("an ingest can be aborted under its writer, which then cannot commit, nor keep the next one from beginning")
    func abortsOpenIngest() throws {
        let writer = try store.ingest("x")
        try writer.write([1])
        #expect(try writer.digest == Digest.of([1]))
        try store.abortIngest("x", evenIfOpen: true)
        #expect(try store.ingests().isEmpty)
        #expect(throws: BerthError.self) { try writer.commit(expecting: nil) }
        #expect(try store.list().isEmpty)
        writer.abort()
        let next = try store.ingest("x")
        #expect(next.offset == 0)
        next.abort()
    }

    @Test("a damaged blob is put aside when it is read whole, and can be written again")
    func damage() async throws {
        let precious = Array("precious".utf8)
        let digest = try store.write(precious)
        #expect(throws: BerthError.self) { try store.read(digest, limit: 3) }
        try await store.verify(digest)

        try Files.writeAtomically(store.path(of: digest), Array("pwned!!!".utf8))
        let error = #expect(throws: BerthError.self) { try store.read(digest, limit: 100) }
        #expect(error?.code == .dataLoss)
        #expect(!store.contains(digest))
        #expect(try Files.list(store.root.appending("quarantine")) == ["sha256-\(digest.hex)"])
        try store.write(precious)
        #expect(try store.read(digest, limit: 100) == precious)

        try Files.writeAtomically(store.path(of: digest), Array("shorter".utf8))
        let other = await #expect(throws: BerthError.self) { try await store.verify(digest) }
        #expect(other?.code == .dataLoss)
        #expect(!store.contains(digest))
    }

    @Test("a blob is verified when it is opened for a client, and again if it is another file")
    func damageReplaced() async throws {
        let digest = try store.write(Array("precious".utf8))
        try Files.writeAtomically(store.path(of: digest), Array("pwned!!!".utf8))
        let opened = try store.open(digest)
        try Files.writeAtomically(store.path(of: digest), Array("precious".utf8))
        #expect(try opened.computeDigest() != digest)
        _ = try await store.openVerified(digest)
        try Files.writeAtomically(store.path(of: digest), Array("pwned!!!".utf8))
        let error = await #expect(throws: BerthError.self) { _ = try await store.openVerified(digest) }
        #expect(error?.code == .dataLoss)
        try store.write(Array("precious".utf8))
        #expect(try store.read(digest, limit: 100) == Array("precious".utf8))
    }

    @Test("what fills the disk is stopped before it is full")
    func diskGuard() throws {
        let scratch = try ScratchDirectory("guard")
        let mount = try scratch.directory("disk")
        try Syscall.mount(source: "tmpfs", target: mount, type: "tmpfs", flags: [], data: "size=4m")
        defer { try? Syscall.umount2(mount, .detach) }
        var disk = DiskGuard(mount, try .directory(mount))
        disk.interval = 4096
        try disk.require(3 << 20)
        #expect(throws: BerthError.self) { try disk.require(4 << 20) }
        let file = try FileDescriptor.open(
            mount.appending("file"), .writeOnly, options: .create, permissions: .ownerReadWrite)
        defer { try? file.close() }
        var written = 0
        let page = [UInt8](repeating: 1, count: 4096)
        let error = #expect(throws: BerthError.self) {
            while true {
                written += try file.writeAll(page)
                try disk.wrote(page.count)
            }
        }
        #expect(error?.code == .resourceExhausted)
        #expect(written > 3 << 20)
        #expect(try DiskRoom(of: file).available > 0)
    }

    @Test("a blob can be read in pieces")
    func ranges() throws {
        let reader = try store.open(try store.write(Array(0..<200)))
        #expect(try reader.read(at: 190, count: 100) == Array(190..<200))
        #expect(try reader.read(at: 300, count: 1) == [])
        #expect(try reader.read(at: -1, count: 1) == [])
    }
}
