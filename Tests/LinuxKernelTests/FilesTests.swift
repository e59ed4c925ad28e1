internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

@Suite struct FilesTests {
    @Test func readingMoreThanTheLimitIsAnError() throws {
        let scratch = try ScratchDirectory("files")
        let file = try scratch.file("a", "12345")
        #expect(try Files.read(file, limit: 5) == Array("12345".utf8))
        #expect(throws: Errno.fileTooLarge) { try Files.read(file, limit: 4) }
    }

    @Test func filesOfProcAreReadWhole() throws {
        let text = try Files.readText("/proc/self/status")
        #expect(text.contains("Pid:"))
    }

    @Test func aDurableWriteReplacesAndLeavesNoTemporaryFile() throws {
        let scratch = try ScratchDirectory("files")
        let file = scratch.appending("a")
        try Files.writeDurably(file, Array("one".utf8), mode: 0o640)
        try Files.writeDurably(file, Array("two".utf8), mode: 0o600)
        #expect(try Files.readText(file) == "two")
        #expect(try Syscall.stat(file).permissions == 0o600)
        #expect(try Files.list(scratch.path) == ["a"])
    }

    @Test func removingATreeDoesNotFollowLinks() throws {
        let scratch = try ScratchDirectory("files")
        try scratch.file("kept/file", "x")
        try scratch.file("tree/a/b", "x")
        try Syscall.symlinkat(target: scratch.appending("kept").string, scratch.path.pushing("tree/link"))
        try Files.removeTree(scratch.appending("tree"))
        try Files.removeTree(scratch.appending("tree"))
        #expect(try Files.list(scratch.path) == ["kept"])
        #expect(try Files.readText(scratch.path.pushing("kept/file")) == "x")
    }

    @Test func removingATreeTakesNamesThatAreNoUTF8() throws {
        let scratch = try ScratchDirectory("files")
        let tree = try scratch.directory("tree")
        let name: [CChar] = [0x66, -1, -2, 0]
        let path = FilePath(platformString: Array(tree.string.utf8CString.dropLast()) + [0x2f] + name)
        _ = try Syscall.open(path, [.writeOnly, .create], mode: 0o600)
        try Files.removeTree(tree)
        #expect(!Files.exists(tree))
    }

    @Test func makingDirectoriesKeepsThoseThatAreThere() throws {
        let scratch = try ScratchDirectory("files")
        try Files.makeDirectories(scratch.path.pushing("a/b/c"))
        try Files.makeDirectories(scratch.path.pushing("a/b/c"))
        try scratch.file("file", "")
        #expect(throws: Errno.self) { try Files.makeDirectories(scratch.path.pushing("file/x")) }
        #expect(throws: Errno.notDirectory) { try Files.makeDirectories(scratch.appending("file")) }
    }
}

@Suite struct RootedDirectoryTests {
    @Test func noPathLeadsOutOfTheRoot() throws {
        let scratch = try ScratchDirectory("rooted")
        try scratch.file("outside", "secret")
        try scratch.file("root/etc/passwd", "inside")
        try Syscall.symlinkat(target: "../../outside", scratch.path.pushing("root/up"))
        try Syscall.symlinkat(target: "/etc/passwd", scratch.path.pushing("root/absolute"))
        try Syscall.symlinkat(target: "loop", scratch.path.pushing("root/loop"))
        let root = try RootedDirectory(scratch.appending("root"))
        #expect(throws: Errno.noSuchFileOrDirectory) { try root.read("../outside", limit: 100) }
        #expect(throws: Errno.noSuchFileOrDirectory) { try root.read("up", limit: 100) }
        #expect(try root.read("absolute", limit: 100) == Array("inside".utf8))
        #expect(throws: Errno.tooManySymbolicLinkLevels) { try root.read("loop", limit: 100) }
    }

    @Test func magicLinksOfProcAreRefused() throws {
        let root = try RootedDirectory("/proc/self")
        #expect(throws: Errno.tooManySymbolicLinkLevels) { try root.open("fd/0") }
    }

    @Test func removingStaysBeneath() throws {
        let scratch = try ScratchDirectory("rooted")
        try scratch.file("outside/file", "x")
        try Syscall.mkdirat(scratch.appending("root"), mode: 0o755)
        try Syscall.symlinkat(target: "../outside", scratch.path.pushing("root/link"))
        let root = try RootedDirectory(scratch.appending("root"))
        try root.remove("link")
        try root.remove("missing/too")
        #expect(throws: Errno.invalidArgument) { try root.remove("..") }
        #expect(Files.exists(scratch.path.pushing("outside/file")))
    }

    @Test func aDeviceIsNotReadAsAFile() throws {
        let root = try RootedDirectory("/dev")
        #expect(throws: Errno.notSupported) { try root.read("zero", limit: 10) }
    }
}
