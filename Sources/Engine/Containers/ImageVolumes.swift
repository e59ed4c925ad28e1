internal import Core
internal import Images
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// A directory of a container's own where its image declares a volume (`VOLUME` of a Dockerfile): filled with what the
/// image has there, writable also where the root filesystem is not, and gone with the container.
struct ImageVolume: Sendable, Equatable {
    /// Absolute path in the container.
    let destination: String
    let directory: FilePath
}

extension Engine {
    private static let maxVolumes = 1000

    /// Makes the volumes of the image, but for those in whose place the request mounts something.
    func makeVolumes(
        of container: Container, image: ImageConfig.Execution, rootFS: SnapshotMounts
    ) async throws -> [ImageVolume] {
        let destinations = try ImageVolume.destinations(of: image, config: container.config)
        guard destinations.count <= Self.maxVolumes else {
            throw BerthError(
                .invalidArgument,
                "image \"\(container.config.image.image)\" declares \(destinations.count) volumes; \(Self.maxVolumes) are permitted"
            )
        }
        var volumes: [ImageVolume] = []
        for (index, destination) in destinations.enumerated() {
            let volume = ImageVolume(
                destination: destination, directory: volumesDirectory(of: container.id).appending("\(index)"))
            do {
                try Files.makeDirectories(volume.directory, mode: 0o755)
                try await onThread {
                    _ = try rootFS.copyDirectory(FilePath(String(destination.dropFirst())), to: volume.directory)
                }
            } catch let error as Errno {
                throw BerthError(
                    error == .notDirectory ? .invalidArgument : Self.code(of: error),
                    "could not make volume \(destination) of image \"\(container.config.image.image)\"", cause: error)
            }
            volumes.append(volume)
        }
        return volumes
    }

    func removeVolumes(of id: String) throws {
        let directory = volumesDirectory(of: id)
        do {
            try Files.removeTree(directory)
        } catch {
            throw BerthError(.internal, "could not remove \(directory)", cause: error)
        }
    }

    /// Volumes outlive a reboot, as the root filesystems do.
    var volumes: FilePath { configuration.root.appending("volumes") }

    private func volumesDirectory(of id: String) -> FilePath { volumes.appending(id) }

    /// What a container's volumes occupy, or all containers'; `nil` where there are none.
    func volumesUsage(of id: String? = nil) async throws -> SnapshotUsage? {
        let directory = id.map(volumesDirectory) ?? volumes
        guard Files.exists(directory) else { return nil }
        return try await BlockingWork.run { try TreeUsage.measure(directory) }
    }

    /// What images and containers occupy: blobs, snapshots (which hold the writable layers) and volumes.
    public func imageFilesystem() async throws -> ImageFilesystem {
        var filesystem = try await images.fsInfo()
        if let volumes = try await volumesUsage() {
            filesystem.bytes += volumes.bytes
            filesystem.inodes += volumes.inodes
        }
        return filesystem
    }
}

extension ImageVolume {
    /// Where the request mounts nothing itself.
    static func destinations(of image: ImageConfig.Execution, config: ContainerConfig) throws -> [String] {
        let taken = Set(config.mounts.map { path(of: $0.containerPath) })
        var destinations: Set<String> = []
        for volume in (image.volumes ?? [:]).keys {
            let destination = path(of: volume)
            guard destination != "/", !volume.utf8.contains(0) else {
                throw BerthError.invalid(
                    field: "Volumes of the image", value: volume, rule: "must be a directory below the root")
            }
            if !taken.contains(destination) { destinations.insert(destination) }
        }
        return destinations.sorted()
    }

    /// Absolute and without `.` and `..`, as mounts are.
    private static func path(of text: String) -> String {
        FilePath(text.hasPrefix("/") ? text : "/\(text)").lexicallyNormalized().string
    }

    var mount: RuntimeSpec.Mount {
        RuntimeSpec.Mount(
            destination: destination, type: "bind", source: directory.string, options: ["rbind", "rprivate", "rw"])
    }
}
