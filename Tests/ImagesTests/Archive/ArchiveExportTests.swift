internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

@testable internal import Images

/// What is exported is what other tools read, and the same bytes each time.
struct ArchiveExportTests {
    private let content: TestContent
    private let image: Descriptor

    init() throws {
        content = try TestContent()
        image = try DockerRegistryTests.image(in: content)
    }

    @Test("the same images give the same bytes, with the documents first")
    func deterministic() throws {
        let items = [ArchiveExport.Item(name: "docker.io/library/box:v1", target: image)]
        let bytes = try exported(items)
        #expect(try exported(items) == bytes)
        let reader = TarReader(MemorySource(bytes))
        var names: [String] = []
        while let entry = try reader.next() {
            names.append(String(decoding: entry.path, as: UTF8.self))
            #expect(entry.modifiedSeconds == 0 && entry.owner == 0)
        }
        #expect(names.prefix(5) == ["oci-layout", "index.json", "manifest.json", "blobs/", "blobs/sha256/"])
        #expect(names.dropFirst(5) == names.dropFirst(5).sorted()[...])
        #expect(names.count == 8)
    }

    @Test("an export that is imported and exported again is the same, byte by byte")
    func identical() throws {
        let other = try FakeImage(layers: [500])
        for blob in other.layers + [other.config, other.manifest] { try content.store.write(blob) }
        let bytes = try exported([
            .init(name: "docker.io/library/box:v1", target: image),
            .init(name: "example.org/other:v2", target: other.descriptor),
        ])
        let second = try TestContent()
        let path = second.scratch.appending("x.tar")
        try Files.writeAtomically(path, bytes)
        let images = try ArchiveImport(content: second.store).read(from: path)
        var again: [UInt8] = []
        let items = images.map { ArchiveExport.Item(name: $0.names.first, target: $0.target) }
        try ArchiveExport(content: second.store).write(items) { again += $0 }
        #expect(again == bytes)
    }

    @Test("one image under several names is one entry for docker, and a digest is no tag")
    func dockerEntries() throws {
        let bytes = try exported([
            .init(name: "docker.io/library/box:v1", target: image),
            .init(name: "docker.io/library/box:v2", target: image),
            .init(name: "docker.io/library/box@\(image.digest)", target: image), .init(name: nil, target: image),
        ])
        let manifest = try document("manifest.json", of: bytes)
        #expect(manifest.contains(#""RepoTags":["docker.io/library/box:v1","docker.io/library/box:v2"]"#))
        #expect(manifest.ranges(of: "Config").count == 1)
        #expect(try document("index.json", of: bytes).ranges(of: "\"digest\"").count == 4)
    }

    @Test("of an index, one platform or all that is there")
    func platforms() throws {
        let arm = Platform(os: "linux", architecture: "arm64")
        let other = try DockerRegistryTests.image(in: content, platform: arm)
        let missing = try FakeImage().descriptor
        let index = try StrictJSON.encode(Index(manifests: [other, image, missing]))
        try content.store.write(index)
        let item = ArchiveExport.Item(name: "a:1", target: try FakeImage.descriptor(.imageIndex, index))
        let all = try exported([item])
        let config = { (descriptor: Descriptor) in
            try StrictJSON.decode(Manifest.self, from: content.store.read(descriptor, limit: 1 << 20), what: "").config
                .digest.hex
        }
        #expect(try members(of: all).filter { $0.hasPrefix("blobs/sha256/") }.count == 1 + 1 + 2 + 2 + 1)
        // Docker sees this machine's.
        #expect(try document("manifest.json", of: all).contains(config(image)))

        let one = try exported([item], platform: arm)
        #expect(try members(of: one).contains("blobs/sha256/\(other.digest.hex)"))
        #expect(try !members(of: one).contains("blobs/sha256/\(image.digest.hex)"))
        #expect(try document("manifest.json", of: one).contains(config(other)))

        let error = #expect(throws: BerthError.self) {
            try exported([item], platform: Platform(os: "linux", architecture: "s390x"))
        }
        #expect(error?.code == .notFound)
    }

    @Test("a missing blob is named before anything is written")
    func missing() throws {
        let layer = try #require(try content.store.list().max { $0.size < $1.size }).digest
        try content.store.delete(layer)
        var written = 0
        let error = #expect(throws: BerthError.self) {
            try ArchiveExport(content: content.store).write([.init(name: nil, target: image)]) { written += $0.count }
        }
        #expect(error?.code == .notFound)
        #expect(error?.description.contains("\(layer)") == true)
        #expect(written == 0)
    }

    @Test("skopeo reads the export as an OCI archive and as a docker-archive, umoci reads the directory")
    func tools() async throws {
        let scratch = content.scratch
        let archive = scratch.appending("x.tar")
        let item = ArchiveExport.Item(name: "docker.io/library/box:v1", target: image)
        try Files.writeAtomically(archive, try exported([item]))
        let inspected = try await Command.run("skopeo", ["inspect", "oci-archive:\(archive):v1"])
        #expect(inspected.contains("\(image.digest)"))
        for source in ["oci-archive:\(archive):v1", "docker-archive:\(archive):docker.io/library/box:v1"] {
            let copy = scratch.appending("copy-\(source.prefix(3))")
            try await Command.run("skopeo", ["copy", "--insecure-policy", source, "oci:\(copy):v1"])
            let reread = try TestContent()
            #expect(try ArchiveImport(content: reread.store).read(from: copy).count == 1)
        }
        let layout = scratch.appending("layout")
        try ArchiveExport(content: content.store).write([item], toDirectory: layout)
        try await Command.run("umoci", ["unpack", "--image", "\(layout):v1", scratch.appending("bundle").string])
        let size = try Syscall.stat(scratch.appending("bundle/rootfs/data")).size
        #expect(size == 600_000)
    }

    // MARK: -

    private func exported(_ items: [ArchiveExport.Item], platform: Platform? = nil) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try ArchiveExport(content: content.store, platform: platform).write(items) { bytes += $0 }
        return bytes
    }

    private func members(of tar: [UInt8]) throws -> [String] {
        let reader = TarReader(MemorySource(tar))
        var names: [String] = []
        while let entry = try reader.next() { names.append(String(decoding: entry.path, as: UTF8.self)) }
        return names
    }

    private func document(_ name: String, of tar: [UInt8]) throws -> String {
        let reader = TarReader(MemorySource(tar))
        while let entry = try reader.next() {
            guard entry.path == Array(name.utf8) else { continue }
            return String(decoding: try reader.readContent(limit: 1 << 20, what: name), as: UTF8.self)
        }
        return ""
    }
}
