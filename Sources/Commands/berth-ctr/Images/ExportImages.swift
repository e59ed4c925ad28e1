internal import ArgumentParser
private import Core
private import Foundation
internal import Images
internal import OCISpec
private import Synchronization
private import SystemPackage
private import Terminal

struct ExportImages: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Export images to an OCI archive",
        discussion: """
            The archive is an OCI image layout with docker's manifest.json, so docker and podman load it too.

            EXAMPLES:
              berth-ctr -n k8s.io images export busybox.tar docker.io/library/busybox:local
              berth-ctr images export - docker.io/library/busybox:local | docker load
              berth-ctr images export layout/ docker.io/library/busybox:local
            """)

    @OptionGroup var platform: PlatformOptions

    @Flag(help: "Export content of all platforms that is here")
    var allPlatforms = false

    @Argument(help: "Archive, - for standard output, or a directory (with / at the end)")
    var output: String

    @Argument(help: "Image names")
    var images: [String]

    func run() async throws {
        let platform = allPlatforms ? nil : try platform.chosen()
        try await Connection.open { daemon in
            try await Staging.with { store in
                var items: [ArchiveExport.Item] = []
                for name in images {
                    let target = try Descriptor(try await daemon.image(name).target)
                    try await daemon.receive(target, platform: platform, into: store)
                    items.append(.init(name: name, target: target))
                }
                try ArchiveOutput.write(items, from: store, platform: platform, to: output)
            }
        }
    }
}

extension Connection {
    /// Copies an image out of the daemon; of an index what is for `platform`, or all that is there.
    func receive(_ descriptor: Descriptor, platform: Platform?, into store: ContentStore) async throws {
        guard !store.contains(descriptor.digest) else { return }
        let writer = try store.ingest(transferReference(descriptor), total: descriptor.size)
        do {
            try await readBlob(descriptor.digest) { try writer.write($0) }
            _ = try writer.commit(expecting: descriptor.digest, size: descriptor.size)
        } catch {
            writer.abort()
            throw error
        }
        guard descriptor.mediaType.isManifest || descriptor.mediaType.isIndex else { return }
        let document = try await document(descriptor)
        if case .index(let index) = document, let platform, let wanted = index.manifest(for: platform) {
            return try await receive(wanted, platform: platform, into: store)
        }
        for child in Self.references(of: document).children {
            // Of an index that was pulled for one platform, the other platforms' manifests are not there.
            if document.isIndex, try await blobInfo(child.digest) == nil { continue }
            try await receive(child, platform: platform, into: store)
        }
    }
}

extension ImageDocument {
    fileprivate var isIndex: Bool {
        if case .index = self { true } else { false }
    }
}

/// Where an archive goes: a tar file, standard output or a directory.
enum ArchiveOutput {
    static func write(
        _ items: [ArchiveExport.Item], from store: ContentStore, platform: Platform?, to output: String
    ) throws {
        let export = ArchiveExport(content: store, platform: platform)
        if output == "-" {
            try export.write(items) { TerminalOutput.standardOutput.write(Array($0)) }
            return
        }
        var isDirectory = ObjCBool(false)
        let exists = FileManager.default.fileExists(atPath: output, isDirectory: &isDirectory)
        if output.hasSuffix("/") || (exists && isDirectory.boolValue) {
            try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
            try export.write(items, toDirectory: FilePath(output))
            return
        }
        // The file has its name only when it is whole.
        let partial = output + ".partial"
        do {
            let file = try FileDescriptor.open(
                partial, .writeOnly, options: [.create, .truncate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            try file.closeAfter { try export.write(items) { _ = try file.writeAll($0) } }
            guard rename(partial, output) == 0 else {
                throw Errno(rawValue: errno)
            }
        } catch {
            try? FileManager.default.removeItem(atPath: partial)
            guard let errno = error as? Errno else { throw error }
            throw BerthError(.failedPrecondition, "write \(output)", cause: errno)
        }
    }
}
