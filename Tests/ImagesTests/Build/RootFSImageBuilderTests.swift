internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

@testable internal import Images

struct RootFSImageBuilderTests {
    @Test("the same files give the same image, in whatever order they came")
    func deterministic() throws {
        let content = try TestContent()
        let digests = try [["/a/b", "/a.b", "/c"], ["/c", "/a.b", "/a/b"]].map { paths in
            var builder = RootFSImageBuilder(platform: Platform(os: "linux", architecture: "amd64"))
            for path in paths { try builder.add(.file(content: Array(path.utf8), mode: 0o600), at: path) }
            return try builder.build(into: content.store)
        }
        #expect(digests[0] == digests[1])
    }

    @Test("directories come before what is in them")
    func order() throws {
        var builder = RootFSImageBuilder()
        for path in ["/a/b/c", "/a/b.d", "/a-b/c", "/z"] { try builder.add(.file(content: [], mode: 0o644), at: path) }
        let content = try TestContent()
        let target = try builder.build(into: content.store)
        let manifest = try StrictJSON.decode(
            Manifest.self, from: content.store.read(target, limit: 1 << 20), what: "manifest")
        let reader = TarReader(MemorySource(try content.store.read(manifest.layers[0], limit: 1 << 20)))
        var seen: Set<String> = [""]
        while let entry = try reader.next() {
            let path = String(decoding: entry.path, as: UTF8.self)
            let parent = path.split(separator: "/").dropLast().joined(separator: "/")
            #expect(seen.contains(parent), "\(path)")
            seen.insert(path.split(separator: "/").joined(separator: "/"))
        }
        #expect(seen.count == 8)
    }

    @Test(
        "paths that lead elsewhere are refused",
        arguments: ["", "/", "a", "/a/", "//a", "/a/../b", "/./a", "/a\u{0}b", "/file/x", "/link/x"])
    func badPaths(path: String) throws {
        var builder = RootFSImageBuilder()
        try builder.add(.file(content: [], mode: 0o644), at: "/file")
        try builder.add(.symlink(target: "/"), at: "/link")
        let before = builder.nodes.count
        #expect(throws: BerthError.self) { try builder.add(.file(content: [], mode: 0o644), at: path) }
        #expect(builder.nodes.count == before)
    }

    @Test("a directory keeps its content and may change its mode")
    func directories() throws {
        var builder = RootFSImageBuilder()
        try builder.add(.file(content: [], mode: 0o644), at: "/d/f")
        #expect(throws: BerthError.self) { try builder.add(.symlink(target: "x"), at: "/d") }
        try builder.add(.directory(mode: 0o700), at: "/d")
        guard case .directory(0o700) = builder.nodes["/d"] else {
            Issue.record("/d is \(String(describing: builder.nodes["/d"]))")
            return
        }
    }

    @Test("a busybox image is unpacked by umoci and runs")
    func busybox() async throws {
        let content = try TestContent()
        var builder = RootFSImageBuilder(execution: .init(env: ["PATH=/bin"], cmd: ["/bin/sh"]))
        let applets = try await Command.run("/bin/busybox", ["--list-full"]).split(separator: "\n").map(String.init)
        try builder.addBusybox(try Files.read("/bin/busybox", limit: 16 << 20), applets: applets)
        let target = try builder.build(into: content.store)
        let layout = content.scratch.appending("layout")
        try ArchiveExport(content: content.store).write(
            [.init(name: "docker.io/library/busybox:v1", target: target)], toDirectory: layout)
        let bundle = content.scratch.appending("bundle").string
        try await Command.run("umoci", ["unpack", "--image", "\(layout):v1", bundle])
        let words = try await Command.run(
            "chroot", ["\(bundle)/rootfs", "/bin/sh", "-c", "echo hello; stat -c %a /tmp; id -un"])
        #expect(words == "hello\n1777\nroot\n")
    }
}
