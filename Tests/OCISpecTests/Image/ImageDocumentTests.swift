import Core
import OCISpec
import TestSupport
import Testing

struct ImageDocumentTests {
    static let digest = "sha256:" + String(repeating: "0a", count: 32)
    static let descriptor = #"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"\#(digest)","size":2}"#
    static let manifest = #"{"schemaVersion":2,"config":\#(descriptor),"layers":[\#(descriptor)]}"#
    static let index = #"{"schemaVersion":2,"manifests":[\#(descriptor)]}"#

    @Test("a manifest and an index are told apart")
    func decodes() throws {
        guard case .manifest(let manifest) = try decode(Self.manifest, .imageManifest) else {
            Issue.record("no manifest")
            return
        }
        #expect(manifest.layers.count == 1)
        guard case .index(let index) = try decode(Self.index, .imageIndex) else {
            Issue.record("no index")
            return
        }
        #expect(index.manifests.first?.size == 2)
        #expect(try ImageDocument.mediaType(of: Array(Self.index.utf8), what: "x") == .imageIndex)
        #expect(try ImageDocument.mediaType(of: Array(Self.manifest.utf8), what: "x") == .imageManifest)
    }

    @Test(
        "ambiguous and malformed documents are refused",
        arguments: [
            (#"{"schemaVersion":2,"config":D,"layers":[],"manifests":[]}"#, MediaType.imageManifest),
            (#"{"schemaVersion":2,"config":D,"layers":[],"manifests":[]}"#, .imageIndex),
            (#"{"schemaVersion":2,"manifests":[],"fsLayers":[]}"#, .imageIndex),
            (#"{"schemaVersion":2,"manifests":[]}"#, .imageManifest),
            (#"{"schemaVersion":2,"config":D,"layers":[]}"#, .imageIndex),
            (#"{"schemaVersion":1,"config":D,"layers":[]}"#, .imageManifest),
            (#"{"config":D,"layers":[]}"#, .imageManifest),
            (
                #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":D,"layers":[]}"#,
                .imageManifest
            ),
            (#"{"schemaVersion":2,"config":D}"#, .imageManifest),
            (#"{"schemaVersion":2,"config":D,"layers":[{"digest":"sha256:xx","size":1}]}"#, .imageManifest),
            (#"{"schemaVersion":2,"config":D,"layers":[{"digest":"N","size":-1}]}"#, .imageManifest),
            (#"{"schemaVersion":2,"config":D,"layers":[{"digest":"md5:00","size":1}]}"#, .imageManifest),
            (#"{"schemaVersion":2,"config":D,"layers":[],"layers":[]}"#, .imageManifest),
            (#"[]"#, .imageManifest), ("", .imageManifest), ("{", .imageManifest),
            (#"{"schemaVersion":2}"#, .layerGzip),
        ])
    func refuses(text: String, type: MediaType) {
        let document = text.replacing("D", with: Self.descriptor).replacing("N", with: Self.digest)
        let error = #expect(throws: BerthError.self) { try decode(document, type) }
        #expect(error?.code == .invalidArgument)
    }

    /// As large as a document may be, and made of what costs most.
    static let bombs: [(name: String, says: String, text: @Sendable () -> String)] = [
        ("numbers", "more than 500000 values", { "[" + repeated("1,") + "1]" }),
        ("empty arrays", "more than 500000 values", { "[" + repeated("[],") + "[]]" }),
        ("empty objects", "more than 500000 values", { "[" + repeated("{},") + "{}]" }),
        ("objects of one member", "more than 500000 values", { "[" + repeated(#"{"":1},"#) + "1]" }),
        ("depth", "nested deeper than 128", { repeated("[") }),
        ("depth of objects", "nested deeper than 128", { repeated(#"{"":"#) }),
        ("one key again and again", "twice in one object", { "{" + repeated(#""k":1,"#) + #""k":1}"# }),
        (
            "many keys, one of them twice", "twice in one object",
            { "{" + (0..<300_000).map { #""k\#($0)":1,"# }.joined() + #""k7":1}"# }
        ),
        (
            "many layers of which none is one", "layers[0]",
            { #"{"schemaVersion":2,"config":\#(descriptor),"layers":["# + repeated("{},", 1_400_000) + "{}]}" }
        ),
        ("a text", "must be", { "\"" + repeated("x") + "\"" }),
        ("escapes", "must be", { "\"" + repeated(#"\u00e9"#) + "\"" }),
        ("spaces", "ends too early", { repeated(" ") }),
    ]

    private static func repeated(_ text: String, _ length: Int = ImageDocument.sizeLimit - 64) -> String {
        String(repeating: text, count: length / text.utf8.count)
    }

    @Test("4 MiB of whatever costs most are refused in words, at little memory", arguments: bombs.indices)
    func costly(index: Int) async throws {
        let bomb = Self.bombs[index]
        let bytes = Array(bomb.text().utf8)
        let growth = try await PeakMemory.growth {
            let error = #expect(throws: BerthError.self) {
                try ImageDocument.decode(bytes, mediaType: .imageManifest, what: "x")
            }
            #expect(error.map { "\($0)".contains(bomb.says) } == true, "\(bomb.name): \(String(describing: error))")
        }
        #expect(growth < 128 << 20, "\(bomb.name): \(growth >> 20) MiB")
    }

    @Test("a document beyond 4 MiB is not parsed")
    func sizeLimit() {
        let bytes = [UInt8](repeating: 0x20, count: ImageDocument.sizeLimit + 1)
        #expect(throws: BerthError.self) { try ImageDocument.decode(bytes, mediaType: .imageIndex, what: "x") }
    }

    @Test("Docker's null fields are nothing")
    func dockerNulls() throws {
        let text =
            #"{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":null,"Labels":null,"Volumes":{"/v":{}}},"rootfs":{"type":"layers","diff_ids":["\#(Self.digest)"]}}"#
        let config = try ImageConfig.decode(Array(text.utf8), what: "config")
        #expect(config.config?.env == nil)
        #expect(config.config?.volumes?.keys.first == "/v")
        #expect(config.rootfs.diffIDs.count == 1)
    }

    @Test(
        "platforms match with their variants",
        arguments: [
            ("linux/amd64", ["linux/arm64", "linux/amd64"], 1), ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], 1),
            ("linux/arm/v6", ["linux/arm/v7", "linux/arm/v6"], 1),
            ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1),
            ("linux/x86_64", ["unknown/unknown", "linux/amd64"], 1),
            ("linux/amd64", ["windows/amd64", "linux/386"], -1),
            ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], 1),
        ])
    func choosesPlatform(wanted: String, offered: [String], expected: Int) throws {
        let descriptors = try offered.enumerated().map { number, platform in
            Descriptor(
                mediaType: .imageManifest, digest: try Digest(Self.digest), size: Int64(number),
                platform: try #require(Platform(platform)))
        }
        let chosen = Index(manifests: descriptors).manifest(for: try #require(Platform(wanted)))
        #expect(chosen.map { Int($0.size) } ?? -1 == expected)
    }

    @discardableResult
    private func decode(_ text: String, _ type: MediaType) throws -> ImageDocument {
        try ImageDocument.decode(Array(text.utf8), mediaType: type, what: "document")
    }
}
