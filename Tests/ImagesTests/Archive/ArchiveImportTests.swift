internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

@testable internal import Images

/// What is in an archive gets into the store; what is wrong with one is said.
struct ArchiveImportTests {
    private let content: TestContent
    private let image: FakeImage

    init() throws {
        content = try TestContent()
        image = try FakeImage(layers: [2000, 70_000])
    }

    @Test("an image is known by its reference, its tag below a base name, or by nothing")
    func names() throws {
        let cases: [([String: String], String?, [String])] = [
            (
                [ImageAnnotation.containerdName: "example.org/a/b:v1", ImageAnnotation.refName: "v1"], nil,
                ["example.org/a/b:v1"]
            ),
            ([ImageAnnotation.refName: "v2"], "box", ["docker.io/library/box:v2"]),
            ([ImageAnnotation.refName: "v2"], nil, []),
            ([ImageAnnotation.refName: "x/y"], nil, ["docker.io/x/y:latest"]),
            ([ImageAnnotation.refName: "box:v3"], nil, ["docker.io/library/box:v3"]), ([:], "box", []),
        ]
        for (annotations, baseName, expected) in cases {
            let images = try imported(try layout([(image, annotations)]), baseName: baseName)
            #expect(images.map(\.names) == [expected])
            #expect(images.first?.target == image.descriptor)
        }
        for blob in image.layers + [image.config, image.manifest] {
            #expect(content.store.contains(try Digest.of(blob)))
        }
    }

    @Test("several images, one of them under two names")
    func several() throws {
        let other = try FakeImage()
        let images = try imported(
            layout([
                (image, [ImageAnnotation.refName: "a:1"]), (other, [ImageAnnotation.refName: "b:1"]),
                (image, [ImageAnnotation.refName: "c:1"]), (image, [ImageAnnotation.refName: "a:1"]),
            ]))
        #expect(
            images.map(\.names) == [["docker.io/library/a:1", "docker.io/library/c:1"], ["docker.io/library/b:1"]])
        #expect(images.map(\.target.digest) == [image.manifestDigest, other.manifestDigest])
    }

    @Test("an index of which the archive has one platform only")
    func partialIndex() throws {
        let index = try RegistryPullTests.index([
            (image, .host), (try FakeImage(), Platform(os: "linux", architecture: "s390x")),
        ])
        let images = try imported(
            TestTar.make { tar in
                try add(image, to: &tar)
                try add(blob: index, to: &tar)
                try addIndex([try FakeImage.descriptor(.imageIndex, index)], to: &tar)
            })
        #expect(images.map(\.target) == [try FakeImage.descriptor(.imageIndex, index)])
    }

    @Test("an index that names one manifest many times, at every level, costs one look")
    func exponentialIndex() throws {
        var child = image.descriptor
        var indexes: [[UInt8]] = []
        for _ in 0..<6 {
            let bytes = try StrictJSON.encode(Index(manifests: [Descriptor](repeating: child, count: 200)))
            indexes.append(bytes)
            child = try FakeImage.descriptor(.imageIndex, bytes)
        }
        let images = try imported(
            TestTar.make { tar in
                try add(image, to: &tar)
                for index in indexes { try add(blob: index, to: &tar) }
                try addIndex([child], to: &tar)
            })
        #expect(images.count == 1)
        #expect(throws: Never.self) {
            try ArchiveExport(content: content.store).write([.init(name: "x:1", target: child)]) { _ in }
        }
    }

    @Test("a directory is read only where its images lead")
    func directory() throws {
        let scratch = try ScratchDirectory("layout")
        try ArchiveExport(content: stored()).write(
            [.init(name: "a:1", target: image.descriptor)], toDirectory: scratch.path)
        try scratch.file("something/else", "unread")
        try scratch.file("blobs/sha256/README", "unread")
        let images = try ArchiveImport(content: content.store).read(from: scratch.path)
        #expect(images.map(\.names) == [["docker.io/library/a:1"]])
        #expect(try content.store.list().count == 4)
    }

    @Test("a link of a directory does not lead out of it")
    func directoryLinks() throws {
        let scratch = try ScratchDirectory("layout")
        let outside = try scratch.file("secret", "outside")
        let layout = try scratch.directory("layout")
        try ArchiveExport(content: stored()).write([.init(name: "a:1", target: image.descriptor)], toDirectory: layout)
        let config = layout.pushing(FilePath(ArchivePath.blob(try Digest.of(image.config))))
        try Syscall.unlinkat(config)
        try Syscall.symlinkat(target: outside.string, config)
        try expect(.invalidArgument, "lacks blob \(try Digest.of(image.config))") {
            try ArchiveImport(content: content.store).read(from: layout)
        }
    }

    @Test("a docker-archive, also with layers shared by links")
    func dockerArchive() throws {
        let config = try StrictJSON.encode(
            ImageConfig(rootfs: .init(diffIDs: [try Digest.of(image.layers[0]), try Digest.of(image.layers[0])])))
        let images = try imported(
            TestTar.make { tar in
                try tar.file("./c.json", String(decoding: config, as: UTF8.self))
                try tar.add(TarEntry(path: Array("a/layer.tar".utf8)), image.layers[0])
                try tar.symlink("b/layer.tar", to: "../a/layer.tar")
                try tar.hardLink("c/layer.tar", to: "a/layer.tar")
                try tar.file(
                    "manifest.json",
                    #"[{"Config":"c.json","RepoTags":["box:1","box:2"],"Layers":["b/layer.tar","c/layer.tar"]},"#
                        + #"{"Config":"c.json","RepoTags":null,"Layers":["a/layer.tar","a/layer.tar"]}]"#)
            })
        #expect(images.map(\.names) == [["docker.io/library/box:1", "docker.io/library/box:2"], []])
        #expect(images[0].target == images[1].target)
        let manifest = try StrictJSON.decode(
            Manifest.self, from: try content.store.read(images[0].target, limit: 1 << 20), what: "manifest")
        #expect(manifest.layers.map(\.digest) == [try Digest.of(image.layers[0]), try Digest.of(image.layers[0])])
    }

    @Test("a hostile or broken layout leaves no half-written blob", arguments: HostileLayout.allCases)
    func hostile(kind: HostileLayout) throws {
        try expect(kind.code, kind.words) { try imported(kind.archive(of: image, in: self)) }
        #expect(try content.store.ingests().isEmpty)
    }

    @Test("a hostile or broken docker-archive is refused", arguments: HostileDockerArchive.cases)
    func hostileDocker(manifest: String, words: String) throws {
        let config = try StrictJSON.encode(ImageConfig(rootfs: .init(diffIDs: [try Digest.of(image.layers[0])])))
        try expect(.invalidArgument, words) {
            try imported(
                TestTar.make { tar in
                    try tar.file("c.json", String(decoding: config, as: UTF8.self))
                    try tar.file("text", "not json")
                    try tar.add(TarEntry(path: Array("good.tar".utf8)), image.layers[0])
                    try tar.add(TarEntry(path: Array("other.tar".utf8)), image.layers[1])
                    try tar.symlink("loop.tar", to: "loop.tar")
                    try tar.symlink("out.tar", to: "../../../../etc/passwd")
                    try tar.file("manifest.json", manifest)
                })
        }
    }

    @Test("what is no archive at all")
    func noArchive() throws {
        for bytes in [
            [], Array("hello".utf8), [UInt8](repeating: 0x41, count: 4096), [0x1f, 0x8b, 8, 0],
            [UInt8](repeating: 0, count: 1024),
        ] {
            try expect(.invalidArgument, "") { try imported(bytes) }
        }
        try expect(.notFound, "/nowhere/at/all") {
            try ArchiveImport(content: content.store).read(from: "/nowhere/at/all")
        }
    }

    @Test("an archive cut anywhere is an error, never a crash")
    func cut() throws {
        let whole = try layout([(image, [ImageAnnotation.refName: "a:1"])])
        for end in stride(from: 1, to: whole.count - 1024, by: 2039) {
            #expect(throws: BerthError.self) { try imported(Array(whole[..<end])) }
        }
        #expect(try content.store.ingests().isEmpty)
    }

    // MARK: - Archives

    func imported(_ tar: [UInt8], baseName: String? = nil) throws -> [ImportedImage] {
        let path = content.scratch.appending("archive-\(Identifier.random())")
        try Files.writeAtomically(path, tar)
        return try ArchiveImport(content: content.store, baseName: baseName).read(from: path)
    }

    private func stored() throws -> ContentStore {
        let store = try ContentStore(root: content.scratch.appending("source"))
        for blob in image.layers + [image.config, image.manifest] { try store.write(blob) }
        return store
    }

    func layout(_ images: [(FakeImage, [String: String])]) throws -> [UInt8] {
        try TestTar.make { tar in
            for (image, _) in images { try add(image, to: &tar) }
            try addIndex(
                images.map { image, annotations in
                    var descriptor = image.descriptor
                    descriptor.annotations = annotations
                    return descriptor
                }, to: &tar)
        }
    }

    func addIndex(_ manifests: [Descriptor], to tar: inout TestTar) throws {
        try tar.file("oci-layout", #"{"imageLayoutVersion":"1.0.0"}"#)
        let index = try StrictJSON.encode(Index(mediaType: nil, manifests: manifests))
        try tar.file("index.json", String(decoding: index, as: UTF8.self))
    }

    func add(_ image: FakeImage, to tar: inout TestTar) throws {
        for blob in image.layers + [image.config, image.manifest] { try add(blob: blob, to: &tar) }
    }

    func add(blob: [UInt8], as digest: Digest? = nil, to tar: inout TestTar) throws {
        let path = ArchivePath.blob(try digest ?? Digest.of(blob))
        try tar.add(TarEntry(path: Array(path.utf8)), blob)
    }

    func expect(_ code: BerthError.Code, _ words: String, _ body: () throws -> [ImportedImage]) throws {
        let error = #expect(throws: BerthError.self) { _ = try body() }
        #expect(error?.code == code, "\(error?.description ?? "")")
        #expect(words.isEmpty || error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
}

enum HostileLayout: String, CaseIterable, Sendable {
    case missingLayer, missingManifest, wrongDigest, wrongSize, leadsOut, indexTooLarge, indexIsManifest, noImage,
        futureLayout,
        noDocuments, badName, device

    var code: BerthError.Code { self == .indexTooLarge ? .resourceExhausted : .invalidArgument }

    var words: String {
        switch self {
        case .missingLayer: "the archive lacks blob sha256:"
        case .missingManifest: "the archive lacks manifest sha256:"
        case .wrongDigest: "is not what its name says"
        case .wrongSize: "instead of the 7 that manifest"
        case .leadsOut: "member \"blobs/../../../etc/x\" leads out of the archive"
        case .indexTooLarge: "index.json of the archive is larger than 4194304 bytes"
        case .indexIsManifest: "holds a manifest"
        case .noImage: "names no image"
        case .futureLayout: "oci-layout: imageLayoutVersion: \"2.0.0\""
        case .noDocuments, .device: "neither an index.json"
        case .badName: "image reference: \"Not/Good\""
        }
    }

    func archive(of image: FakeImage, in tests: ArchiveImportTests) throws -> [UInt8] {
        try TestTar.make { tar in
            switch self {
            case .missingLayer:
                for blob in [image.manifest, image.config] { try tests.add(blob: blob, to: &tar) }
                try tests.addIndex([image.descriptor], to: &tar)
            case .missingManifest: try tests.addIndex([image.descriptor], to: &tar)
            case .wrongDigest:
                try tests.add(blob: Array("something else".utf8), as: image.manifestDigest, to: &tar)
                try tests.addIndex([image.descriptor], to: &tar)
            case .wrongSize:
                var layer = try FakeImage.descriptor(.layer, image.layers[0])
                layer.size = 7
                let manifest = try StrictJSON.encode(
                    Manifest(config: FakeImage.descriptor(.imageConfig, image.config), layers: [layer]))
                for blob in [image.layers[0], image.config, manifest] { try tests.add(blob: blob, to: &tar) }
                try tests.addIndex([try FakeImage.descriptor(.imageManifest, manifest)], to: &tar)
            case .leadsOut: try tar.file("blobs/../../../etc/x", "x")
            case .indexTooLarge: try tar.file("index.json", String(repeating: " ", count: (4 << 20) + 1))
            case .indexIsManifest:
                try tar.file(
                    "index.json",
                    String(decoding: image.manifest, as: UTF8.self).replacing(
                        MediaType.imageManifest.rawValue, with: MediaType.imageIndex.rawValue))
            case .noImage: try tests.addIndex([], to: &tar)
            case .futureLayout:
                try tar.file("index.json", #"{"schemaVersion":2,"manifests":[]}"#)
                try tar.file("oci-layout", #"{"imageLayoutVersion":"2.0.0"}"#)
            case .noDocuments: try tests.add(image, to: &tar)
            case .badName:
                try tests.add(image, to: &tar)
                var descriptor = image.descriptor
                descriptor.annotations = [ImageAnnotation.refName: "Not/Good"]
                try tests.addIndex([descriptor], to: &tar)
            case .device:
                try tar.add(
                    TarEntry(kind: .characterDevice, path: Array("index.json".utf8), deviceMajor: 1, deviceMinor: 5))
            }
        }
    }
}

enum HostileDockerArchive {
    static let cases = [
        ("[]", "names no image"), ("{}", "manifest.json: must be an array"), ("[{}]", "[0].Config: is missing"),
        (#"[{"Config":"../c.json","Layers":[]}]"#, "Config names \"../c.json\", which the archive lacks"),
        (#"[{"Config":"text","Layers":[]}]"#, "is no valid JSON"),
        (#"[{"Config":"c.json","Layers":[]}]"#, "Layers has 0 layers, and \"c.json\" 1"),
        (#"[{"Config":"c.json","Layers":["gone.tar"]}]"#, "Layers names \"gone.tar\""),
        (#"[{"Config":"c.json","Layers":["loop.tar"]}]"#, "Layers names \"loop.tar\""),
        (#"[{"Config":"c.json","Layers":["out.tar"]}]"#, "Layers names \"out.tar\""),
        (#"[{"Config":"c.json","Layers":["other.tar"]}]"#, "instead of the config's"),
        (#"[{"Config":"c.json","RepoTags":["Bad Name"],"Layers":["good.tar"]}]"#, "image reference: \"Bad Name\""),
    ]
}
