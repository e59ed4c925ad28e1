internal import ArgumentParser
private import ContainerdAPI
private import Core
private import Images
internal import OCISpec
private import Terminal

struct PushImage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push", abstract: "Push an image to a remote",
        discussion: """
            What is here of the image is sent, of an index the manifests that are here. Blobs that another repository of the
            registry has are mounted from there.

            EXAMPLES:
              berth-ctr -n k8s.io images push registry.example:5000/app:2
              berth-ctr -n k8s.io images push registry.example:5000/app:2 docker.io/library/nginx:1
            """)

    @OptionGroup var registry: RegistryOptions
    @OptionGroup var progress: ProgressOptions
    @OptionGroup var platform: PlatformOptions

    @Flag(help: "Push content of all platforms that is here")
    var allPlatforms = false

    @Argument(help: "Where to push to")
    var remote: String

    @Argument(help: "The image's name here (default: the same)")
    var local: String?

    func run() async throws {
        let reference = try ImageReference(remote).withDefaultTag
        let name = local ?? "\(reference)"
        let platform = allPlatforms ? nil : try platform.chosen()
        let board = progress.board()
        let digest = try await Connection.open { daemon in
            try await Staging.with { store in
                try await board.whileDrawing {
                    let named = try Descriptor(try await daemon.image(name).target)
                    try await daemon.receive(named, platform: platform, into: store)
                    // An index of which only some manifests go would be refused: the platform's manifest goes alone then.
                    let target = try Self.target(named, platform, in: store)
                    let sources = try await Self.sources(of: target, at: reference, daemon)
                    try await registry.with(reference) { client, credentials in
                        try await client.push(
                            target, from: store, to: reference, credentials: credentials, mountingFrom: sources
                        ) { board.update(PullImage.item($0, verb: "uploading", done: "uploaded")) }
                    }
                    return target.digest
                }
            }
        }
        Output.line(progress.isQuiet ? "\(digest)" : "pushed \(reference) \(digest)")
    }

    private static func target(
        _ named: Descriptor, _ platform: Platform?, in store: ContentStore
    ) throws -> Descriptor {
        guard let platform, named.mediaType.isIndex else { return named }
        let document = try ImageDocument.decode(
            store.read(named, limit: ImageDocument.sizeLimit), mediaType: named.mediaType, what: "\(named.digest)")
        guard case .index(let index) = document else { return named }
        if index.manifests.allSatisfy({ store.contains($0.digest) }) { return named }
        guard let chosen = index.manifest(for: platform) else {
            throw BerthError(.notFound, "index \(named.digest) has nothing for \(platform)")
        }
        return chosen
    }

    /// Repositories at the registry that the daemon's content came from.
    private static func sources(
        of target: Descriptor, at reference: ImageReference, _ daemon: Connection
    ) async throws -> [String] {
        let labels = try await daemon.blobInfo(target.digest)?.labels ?? [:]
        let value = labels["containerd.io/distribution.source.\(reference.domain)"] ?? ""
        return value.split(separator: ",").map(String.init)
    }
}
