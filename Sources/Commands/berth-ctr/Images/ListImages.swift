internal import ArgumentParser
internal import ContainerdAPI
private import Core
private import OCISpec
private import Terminal

struct ListImages: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List images",
        discussion: """
            EXAMPLES:
              berth-ctr -n k8s.io images ls
              berth-ctr images ls -q 'name~=busybox'
            """, aliases: ["ls"])

    @Flag(name: [.short, .long], help: "Print only the image refs")
    var quiet = false

    @Argument(help: "Filters of containerd's language")
    var filters: [String] = []

    func run() async throws {
        let rows = try await Connection.open { daemon in
            let images = try await daemon.listImages(filters)
            if quiet { return images.map { [$0.name] } }
            var rows = [["REF", "TYPE", "DIGEST", "SIZE", "PLATFORMS", "LABELS"]]
            for image in images { rows.append(try await Self.row(of: image, daemon)) }
            return rows
        }
        if quiet { return rows.forEach { Output.line($0[0]) } }
        var table = TextTable(.ctr)
        rows.forEach { table.add($0) }
        Output.table(table)
    }

    private static func row(of image: Containerd_Services_Images_V1_Image, _ daemon: Connection) async throws
        -> [String]
    {
        var size = "-"
        var platforms = "-"
        let target = try Descriptor(image.target)
        do {
            if let found = try await daemon.manifest(of: target, platform: .host) {
                let parts = [found.descriptor, found.manifest.config] + found.manifest.layers
                size = HumanText.binarySize(parts.reduce(0) { $0 + UInt64(max($1.size, 0)) })
            }
            platforms = try await daemon.platforms(of: target).joined(separator: ",")
        } catch let error as BerthError {
            Output.warn("image \(image.name): \(error)")
        }
        return [
            image.name, image.target.mediaType, image.target.digest, size, platforms.isEmpty ? "-" : platforms,
            Output.labels(image.labels, none: "-"),
        ]
    }
}

extension Connection {
    /// In order of their names.
    func listImages(_ filters: [String]) async throws -> [Containerd_Services_Images_V1_Image] {
        try await doing("list images") {
            try await images.list(.with { $0.filters = filters }, options: Session.current.callOptions).images
        }.sorted { $0.name < $1.name }
    }

    func image(_ name: String) async throws -> Containerd_Services_Images_V1_Image {
        try await doing("image \(name)") {
            try await images.get(.with { $0.name = name }, options: Session.current.callOptions).image
        }
    }

    /// Those that an image is for; of an index those whose manifests are here.
    fileprivate func platforms(of target: Descriptor) async throws -> [String] {
        guard try await blobInfo(target.digest) != nil else { return [] }
        switch try await document(target) {
        case .manifest(let manifest):
            guard try await blobInfo(manifest.config.digest) != nil else { return [] }
            return [try await config(of: manifest).platform.normalized.description]
        case .index(let index):
            var platforms: Set<String> = []
            for manifest in index.manifests where try await blobInfo(manifest.digest) != nil {
                if let platform = manifest.platform {
                    platforms.insert(platform.normalized.description)
                } else {
                    platforms.formUnion(try await self.platforms(of: manifest))
                }
            }
            return platforms.sorted()
        }
    }
}
