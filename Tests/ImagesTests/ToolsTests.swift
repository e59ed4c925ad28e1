import Core
import Images
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

/// Our images beside skopeo, umoci and docker-registry of Debian.
struct ToolsTests {
    let storage = try! Storage()

    /// The files of an image's merged tree with type, mode and content, as lines.
    private func tree(_ storage: Storage, _ target: Descriptor, key: String) async throws -> [String] {
        let manifest: Manifest
        switch try ImageDocument.decode(
            storage.content.read(target, limit: 1 << 20), mediaType: target.mediaType, what: "manifest")
        {
        case .manifest(let found): manifest = found
        case .index(let index):
            let chosen = try #require(index.manifest(for: .host))
            return try await tree(storage, chosen, key: key)
        }
        let config = try ImageConfig.decode(storage.content.read(manifest.config, limit: 1 << 20), what: "config")
        let top = try await ImageUnpacker(content: storage.content, snapshotter: storage.snapshotter).unpack(
            layers: manifest.layers, diffIDs: config.rootfs.diffIDs)
        let mounts = try await storage.snapshotter.view(key, parent: top?.description)
        let target = try storage.scratch.directory("view-\(key)")
        let (type, source, options) = mounts.typeSourceOptions
        let isOverlay = type == "overlay"
        try Syscall.mount(
            source: source, target: target, type: isOverlay ? type : nil, flags: isOverlay ? .readOnly : .bind,
            data: isOverlay ? options.joined(separator: ",") : nil)
        defer { try? Syscall.umount2(target, .detach) }
        return try await Self.files(in: target)
    }

    private static func files(in tree: FilePath) async throws -> [String] {
        try await Command.run(
            "find", [".", "-printf", "%p %y %m %U:%G %s %l\n"], directory: tree.string
        ).split(separator: "\n").filter { !$0.hasPrefix(". ") && !$0.contains(" d ") }.map(String.init).sorted()
    }

    @Test("an image pushed by skopeo is pulled from docker-registry as umoci made it")
    func registry() async throws {
        let fixture = try await ImageFixture(below: storage.scratch.path)
        let registry = try await TestRegistry(below: storage.scratch.path)
        try await registry.push(fixture, as: "box:v1")
        let client = RegistryClient()
        let reference = try ImageReference("127.0.0.1:\(registry.port)/box:v1")
        let pulled = try await client.pull(reference, into: storage.content)
        #expect(try await client.resolve(reference) == pulled.target)
        await client.shutdown()
        let files = try await tree(storage, pulled.target, key: "pulled")
        #expect(files.contains { $0.hasPrefix("./etc/second ") })
        #expect(files.contains { $0.hasPrefix("./etc/kept ") })
        #expect(!files.contains { $0.hasPrefix("./etc/first ") })
        #expect(files.contains { $0.hasPrefix("./bin/sh l ") })

        let other = try Storage()
        let imported = try ArchiveImport(content: other.content, baseName: "box").read(from: FilePath(fixture.archive))
        #expect(imported.map(\.names) == [["docker.io/library/box:v1"]])
        #expect(try await tree(other, try #require(imported.first).target, key: "imported") == files)

        let directory = try Storage()
        let fromDirectory = try ArchiveImport(content: directory.content).read(from: FilePath(fixture.layout))
        #expect(fromDirectory.first?.target.digest == imported.first?.target.digest)
    }

    @Test("what docker save and skopeo write is imported, also gzipped; what we export, skopeo and umoci read")
    func archives() async throws {
        let fixture = try await ImageFixture(below: storage.scratch.path)
        let docker = storage.scratch.appending("docker.tar").string
        try await Command.run(
            "skopeo",
            ["copy", "--insecure-policy", "oci:\(fixture.layout):v1", "docker-archive:\(docker):example.com/box:v2"])
        let direct = try ArchiveImport(content: storage.content).read(from: FilePath(fixture.archive))
        let files = try await tree(storage, try #require(direct.first).target, key: "direct")

        let legacy = try Storage()
        let imported = try ArchiveImport(content: legacy.content).read(from: FilePath(docker))
        #expect(imported.map(\.names) == [["example.com/box:v2"]])
        #expect(try await tree(legacy, try #require(imported.first).target, key: "docker") == files)

        try await Command.run("gzip", ["-k", docker])
        let zipped = try Storage()
        let again = try ArchiveImport(content: zipped.content).read(from: FilePath(docker + ".gz"))
        #expect(again.first?.target.digest == imported.first?.target.digest)

        let exported = storage.scratch.appending("exported.tar")
        let file = try FileDescriptor.open(
            exported, .writeOnly, options: .create, permissions: .ownerReadWrite)
        let target = try #require(imported.first).target
        try ArchiveExport(content: legacy.content).write(
            [.init(name: "example.com/box:v2", target: target)], to: { try EntryCalls.write(file, $0) })
        try file.close()
        for source in ["oci-archive:\(exported)", "docker-archive:\(exported):example.com/box:v2"] {
            let copy = storage.scratch.appending("copy-\(source.prefix(3))").string
            try await Command.run("skopeo", ["copy", "--insecure-policy", source, "oci:\(copy):v1"])
            let reread = try Storage()
            let image = try #require(try ArchiveImport(content: reread.content).read(from: FilePath(copy)).first)
            #expect(try await tree(reread, image.target, key: "copy") == files)
        }
        let layout = try storage.scratch.directory("layout")
        try await Command.run("tar", ["-xf", exported.string, "-C", layout.string])
        let bundle = storage.scratch.appending("bundle")
        try await Command.run("umoci", ["unpack", "--image", "\(layout):v2", bundle.string])
        #expect(try await Self.files(in: bundle.appending("rootfs")) == files)
    }

    @Test("podman loads what we export, and what podman saves is imported, in both of its formats")
    func podman() async throws {
        let fixture = try await ImageFixture(below: storage.scratch.path)
        let target = try #require(
            try ArchiveImport(content: storage.content).read(from: FilePath(fixture.archive)).first
        ).target
        let files = try await tree(storage, target, key: "ours")
        let exported = storage.scratch.appending("exported.tar")
        let file = try FileDescriptor.open(exported, .writeOnly, options: .create, permissions: .ownerReadWrite)
        try ArchiveExport(content: storage.content).write(
            [.init(name: "example.com/box:v3", target: target)], to: { try EntryCalls.write(file, $0) })
        try file.close()
        let podman = [
            "--root", storage.scratch.appending("podman").string, "--runroot", storage.scratch.appending("run").string,
            "--storage-driver", "vfs",
        ]
        try await Command.run("podman", podman + ["load", "-q", "-i", exported.string])
        for format in ["docker-archive", "oci-archive"] {
            let saved = storage.scratch.appending("saved-\(format).tar")
            try await Command.run(
                "podman", podman + ["save", "-q", "--format", format, "-o", saved.string, "example.com/box:v3"])
            let other = try Storage()
            let images = try ArchiveImport(content: other.content).read(from: saved)
            #expect(images.map(\.names) == [["example.com/box:v3"]], "\(format)")
            #expect(try await tree(other, try #require(images.first).target, key: "podman") == files, "\(format)")
        }
    }

    @Test("zstd:chunked, as skopeo makes it, is zstd")
    func chunked() async throws {
        let fixture = try await ImageFixture(below: storage.scratch.path)
        let plain = try ArchiveImport(content: storage.content).read(from: FilePath(fixture.archive))
        let files = try await tree(storage, try #require(plain.first).target, key: "plain")
        let copy = storage.scratch.appending("chunked").string
        try await Command.run(
            "skopeo",
            [
                "copy", "--insecure-policy", "--dest-compress-format", "zstd:chunked", "oci:\(fixture.layout):v1",
                "oci:\(copy):v1",
            ])
        let chunked = try Storage()
        let target = try #require(try ArchiveImport(content: chunked.content).read(from: FilePath(copy)).first).target
        let manifest = try chunked.content.read(target, limit: 1 << 20)
        #expect(String(decoding: manifest, as: UTF8.self).contains("io.containers.zstd-chunked.manifest-position"))
        #expect(try await tree(chunked, target, key: "chunked") == files)
    }

    /// One gzip member for each file, a table of contents as the last file, and a member without content whose extra field says
    /// where that is (estargz.md of stargz-snapshotter).
    private static let estargz = """
        import gzip, io, json, struct, sys, tarfile, zlib
        out = open(sys.argv[1], "wb")
        def member(data):
            out.write(gzip.compress(data, 6, mtime=0))
        def entry(name, content):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)
        toc = []
        for name, content in (("a", b"first" * 3000), (".prefetch.landmark", b"\\x0f"), ("d/b", b"second")):
            toc.append({"name": name, "type": "reg", "size": len(content), "offset": out.tell()})
            member(entry(name, content))
        place = out.tell()
        member(entry("stargz.index.json", json.dumps({"version": 1, "entries": toc}).encode()) + bytes(1024))
        extra = b"SG" + struct.pack("<H", 22) + b"%016xSTARGZ" % place
        out.write(b"\\x1f\\x8b\\x08\\x04\\0\\0\\0\\0\\0\\xff" + struct.pack("<H", len(extra)) + extra)
        out.write(b"\\x01\\0\\0\\xff\\xff" + bytes(8))
        """

    @Test("estargz is gzip")
    func estargz() async throws {
        let path = storage.scratch.appending("layer.gz")
        try await Command.run("python3", ["-c", Self.estargz, path.string])
        let bytes = try Files.read(path, limit: 1 << 20)
        let staging = try await storage.snapshotter.beginLayer()
        let layer = try await LayerUnpacker().unpack(
            storage.content.open(storage.content.write(bytes)), mediaType: .layerGzip, into: staging.tree)
        #expect(try text(staging.tree.appending("a")) == String(repeating: "first", count: 3000))
        #expect(try text(staging.tree.pushing("d/b")) == "second")
        let digest = try await Command.run("sh", ["-c", "gzip -dc \(path) | sha256sum"])
        #expect(digest.hasPrefix(layer.diffID.hex))
    }

    @Test("broken archives are refused")
    func broken() throws {
        for tar in [
            [], try TestTar.make { try $0.file("x", "y") }, try TestTar.make { try $0.file("index.json", "{}") },
            try TestTar.make { try $0.file("manifest.json", #"[{"Config":"a.json","Layers":["../x"]}]"#) },
            try TestTar.make { try $0.file("blobs/sha256/" + String(repeating: "0", count: 64), "other") },
            Array("no archive at all, but longer than nothing".utf8),
        ] {
            let path = storage.scratch.appending("broken.tar")
            try Files.writeAtomically(path, tar)
            #expect(throws: BerthError.self) { try ArchiveImport(content: storage.content).read(from: path) }
        }
        #expect(try storage.content.ingests().isEmpty)
    }
}
