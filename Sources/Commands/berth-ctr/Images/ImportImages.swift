internal import ArgumentParser
private import ContainerdAPI
private import Core
private import Foundation
private import Images
internal import OCISpec
private import SystemPackage
private import Terminal

struct ImportImages: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Import images from an archive",
        discussion: """
            Reads OCI image layouts and what docker save writes: a tar archive, plain or compressed, or a directory.
            Where an archive gives only a tag, --base-name makes a whole name of it.

            EXAMPLES:
              berth-ctr -n k8s.io images import busybox.tar
              docker save app:1 | berth-ctr -n k8s.io images import -
              berth-ctr images import --base-name example.com/app layout/
            """)

    @Option(help: "Base image name for images whose archive gives only a tag")
    var baseName: String?

    @Flag(help: "Create an image named by digest too")
    var digests = false

    @Flag(help: "Skip unpacking the images")
    var noUnpack = false

    @OptionGroup var platform: PlatformOptions
    @OptionGroup var snapshotter: SnapshotterOptions

    @Option(help: ArgumentHelp("Labels to attach to the images", valueName: "key=value"))
    var label: [String] = []

    @Flag(name: [.short, .long], help: "Print only the names of the images")
    var quiet = false

    @Argument(help: "Archive, directory, or - for standard input")
    var input: String

    func run() async throws {
        let labels = try ListFilters.labels(label)
        let platform = try platform.chosen()
        let progress = ProgressBoard(quiet: quiet)
        let names = try await Connection.open { daemon in
            try await daemon.underLease {
                try await progress.whileDrawing {
                    try await Staging.with { store in
                        progress.update(.init(name: input, state: "reading"))
                        let images = try await read(into: store)
                        progress.update(.init(name: input, state: "read", isFinished: true))
                        guard !images.isEmpty else {
                            throw BerthError(.invalidArgument, "archive \(input) holds no image")
                        }
                        var names: [String] = []
                        for image in images {
                            try await daemon.send(image.target, from: store, progress: progress)
                            for name in self.names(of: image) {
                                try await daemon.createImage(
                                    .with {
                                        $0.name = name
                                        $0.target = image.target.message
                                        $0.labels = labels
                                    }, replacing: true)
                                names.append(name)
                            }
                            guard !noUnpack else { continue }
                            try await daemon.unpack(
                                image.target, platform: platform, snapshotter: snapshotter.name, progress: progress)
                        }
                        return names
                    }
                }
            }
        }
        for name in names { Output.line(quiet ? name : "imported \(name)") }
    }

    /// Reading an archive blocks, so it has a thread of its own.
    private func read(into store: ContentStore) async throws -> [ImportedImage] {
        let archive = ArchiveImport(content: store, baseName: baseName)
        let input = input
        do {
            return try await withCheckedThrowingContinuation { continuation in
                Thread.detachNewThread {
                    continuation.resume(
                        with: Result {
                            input == "-"
                                ? try archive.read(from: .standardInput) : try archive.read(from: FilePath(input))
                        })
                }
            }
        } catch {
            throw BerthError.wrapping(error, "import \(input == "-" ? "standard input" : input)")
        }
    }

    /// An image without a name is named by its digest, so that it is not lost.
    private func names(of image: ImportedImage) -> [String] {
        guard image.names.isEmpty || digests else { return image.names }
        let today = Timestamp.now.rfc3339(in: .local).prefix(10)
        return image.names + ["\(baseName ?? "import-\(today)")@\(image.target.digest)"]
    }
}
