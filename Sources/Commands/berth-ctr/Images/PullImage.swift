internal import ArgumentParser
private import ContainerdAPI
private import Core
private import Foundation
internal import Images
internal import OCISpec
internal import Terminal

struct PullImage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Pull an image from a remote",
        discussion: """
            The layers are fetched here and written into the daemon's content; then the daemon unpacks them.

            EXAMPLES:
              berth-ctr -n k8s.io images pull docker.io/library/nginx:1
              berth-ctr images pull --plain-http --user me:secret registry.example:5000/app:2
            """)

    @OptionGroup var registry: RegistryOptions
    @OptionGroup var progress: ProgressOptions

    @Option(help: ArgumentHelp("Labels to attach to the image", valueName: "key=value"))
    var label: [String] = []

    @OptionGroup var platform: PlatformOptions
    @OptionGroup var snapshotter: SnapshotterOptions

    @Flag(help: "Do not unpack the image")
    var noUnpack = false

    @Flag(help: "Print the resulting image's chain ID")
    var printChainid = false

    @Flag(help: "Fetch the content of all platforms; this machine's is unpacked")
    var allPlatforms = false

    @Argument(help: "Reference")
    var reference: String

    func run() async throws {
        let reference = try ImageReference(reference).withDefaultTag
        let labels = try ListFilters.labels(label)
        let platform = try platform.chosen()
        let board = progress.board()
        let chain = try await registry.with(reference) { client, credentials in
            try await pull(reference, platform, credentials, labels, from: client, showing: board)
        }
        Output.line(progress.isQuiet ? "\(reference)" : "pulled \(reference)")
        if printChainid, let chain { Output.line("image chain ID: \(chain)") }
    }

    /// - Returns: the chain ID of the topmost layer, if it was unpacked.
    private func pull(
        _ reference: ImageReference, _ platform: Platform, _ credentials: RegistryCredentials,
        _ labels: [String: String], from registry: RegistryClient, showing progress: ProgressBoard
    ) async throws -> Core.Digest? {
        try await Connection.open { daemon in
            try await daemon.underLease {
                try await progress.whileDrawing {
                    let target = try await fetch(reference, platform, credentials, registry, daemon, progress)
                    try await daemon.createImage(
                        .with {
                            $0.name = "\(reference)"
                            $0.target = target.message
                            $0.labels = labels
                        }, replacing: true)
                    guard !noUnpack else { return nil }
                    return try await daemon.unpack(
                        target, platform: platform, snapshotter: snapshotter.name, progress: progress)
                }
            }
        }
    }

    /// Brings the image into the daemon's content, unless all of it is there.
    private func fetch(
        _ reference: ImageReference, _ platform: Platform, _ credentials: RegistryCredentials,
        _ registry: RegistryClient, _ daemon: Connection, _ progress: ProgressBoard
    ) async throws -> Descriptor {
        progress.update(.init(name: "\(reference)", state: "resolving"))
        let target = try await registry.resolve(reference, credentials: credentials)
        progress.update(.init(name: "\(reference)", state: "resolved", isFinished: true))
        if !allPlatforms, try await daemon.isComplete(target, platform) {
            progress.update(.init(name: transferReference(target), state: "exists", isFinished: true))
            return target
        }
        return try await Staging.with { store in
            // What the tag means may have changed since; the digest is what was resolved.
            let pinned = reference.digest == nil ? reference.pinned(to: target.digest) : reference
            let pulled = try await registry.pull(
                pinned, platforms: allPlatforms ? .all : .only(platform), credentials: credentials, into: store
            ) { progress.update(Self.item($0)) }
            try await daemon.send(pulled.target, from: store, progress: progress)
            return pulled.target
        }
    }

    static func item(
        _ progress: PullProgress, verb: String = "downloading", done: String = "downloaded"
    ) -> ProgressBoard.Item {
        let state =
            switch progress.state {
            case .waiting: "waiting"
            case .downloading: verb
            case .exists, .done: done
            }
        return .init(
            name: transferReference(progress.descriptor), state: state, done: UInt64(max(progress.received, 0)),
            total: progress.descriptor.bytes)
    }
}

extension Connection {
    /// Whether the daemon has every part of the image for a platform.
    fileprivate func isComplete(_ target: Descriptor, _ platform: Platform) async throws -> Bool {
        guard let (_, manifest) = try await manifest(of: target, platform: platform) else { return false }
        for part in [manifest.config] + manifest.layers where try await blobInfo(part.digest) == nil { return false }
        return true
    }
}
