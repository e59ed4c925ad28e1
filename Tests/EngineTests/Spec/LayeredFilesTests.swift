import Core
import LinuxKernel
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("Files of layers, as overlayfs merges them") struct LayeredFilesTests {
    private func text(_ files: LayeredFiles, _ path: String) throws -> String? {
        try files.read(path, limit: 100).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func theTopmostFileCounts() throws {
        let scratch = try ScratchDirectory("layers")
        try scratch.file("low/etc/passwd", "low")
        try scratch.file("low/etc/group", "low")
        try scratch.file("top/etc/passwd", "top")
        let files = LayeredFiles(layers: [scratch.appending("top"), scratch.appending("low")])
        #expect(try text(files, "/etc/passwd") == "top")
        #expect(try text(files, "/etc/group") == "low")
        #expect(try text(files, "/etc/shadow") == nil)
    }

    @Test func aWhiteoutHidesWhatIsBelow() throws {
        let scratch = try ScratchDirectory("layers")
        try scratch.file("low/etc/passwd", "low")
        try scratch.directory("top/etc")
        try Syscall.mknodat(scratch.appending("top/etc/passwd"), mode: 0o020000, major: 0, minor: 0)
        let files = LayeredFiles(layers: [scratch.appending("top"), scratch.appending("low")])
        #expect(try text(files, "/etc/passwd") == nil)
    }

    @Test func anOpaqueDirectoryHidesWhatIsBelow() throws {
        let scratch = try ScratchDirectory("layers")
        try scratch.file("low/etc/passwd", "low")
        let directory = try scratch.directory("top/etc")
        try Syscall.lsetxattr(directory, "trusted.overlay.opaque", Array("y".utf8))
        let files = LayeredFiles(layers: [scratch.appending("top"), scratch.appending("low")])
        #expect(try text(files, "/etc/passwd") == nil)
    }

    @Test func linksAreFollowedInsideTheImageOnly() throws {
        let scratch = try ScratchDirectory("layers")
        try scratch.file("low/usr/etc/passwd", "real")
        try scratch.directory("low/etc")
        try Syscall.symlinkat(target: "../../usr/etc/passwd", scratch.appending("low/etc/passwd"))
        try Syscall.symlinkat(target: "/etc/passwd", scratch.appending("low/etc/group"))
        try Syscall.symlinkat(target: "loop", scratch.appending("low/etc/loop"))
        let files = LayeredFiles(layers: [scratch.appending("low")])
        #expect(try text(files, "/etc/passwd") == "real")
        #expect(try text(files, "/etc/group") == "real")
        #expect(throws: BerthError.self) { try text(files, "/etc/loop") }
    }

    @Test func aLargeFileIsRefused() throws {
        let scratch = try ScratchDirectory("layers")
        try scratch.file("low/etc/passwd", String(repeating: "x", count: 101))
        let files = LayeredFiles(layers: [scratch.appending("low")])
        let error = try #require(throws: BerthError.self) { try text(files, "/etc/passwd") }
        #expect(error.code == .resourceExhausted)
    }
}
