internal import Core
internal import Images
internal import OCISpec
internal import SystemPackage

/// Where checkpoints that are being written or waiting to be restored stand, below the root directory: they are as large as
/// the memory of their containers.
///
///     checkpoints/ID/files/       the members of the archive, see CheckpointArchive
///     checkpoints/ID/location     where the archive that is being written goes; absent for one that is restored
struct CheckpointLayout: Sendable {
    let root: FilePath

    init(root: FilePath) {
        self.root = root.appending("checkpoints")
    }

    func checkpoint(_ id: String) -> FilePath { root.appending(id) }
    func files(_ id: String) -> FilePath { checkpoint(id).appending("files") }
    func images(_ id: String) -> FilePath { files(id).appending(CheckpointArchive.images) }
    func location(_ id: String) -> FilePath { checkpoint(id).appending("location") }

    /// The archive until it is whole.
    static func partial(_ location: FilePath) -> FilePath { FilePath("\(location).partial") }
}

/// `config.dump`: what podman began and the others kept up, as far as it is used.
struct CheckpointedContainer: Codable, Sendable {
    var id: String
    var name: String
    /// As the client named the image.
    var rootfsImage: String?
    /// By digest.
    var rootfsImageRef: String?
    var rootfsImageName: String?
    var runtime: String?
    /// RFC 3339.
    var createdTime: String
    var checkpointedTime: String
    /// Of nobody here, but readers of these documents want a time.
    var restoredTime: String?
    var restored: Bool?
}

/// `status.dump`: CRI's ContainerStatus, as the others write it.
struct CheckpointedStatus: Encodable {
    struct Metadata: Encodable {
        let name: String
        let attempt: UInt32
    }

    struct Image: Encodable {
        let image: String
    }

    let id: String
    let metadata: Metadata
    /// CONTAINER_RUNNING; a container is not checkpointed in another state.
    let state = 1
    let createdAt: Int64
    let startedAt: Int64
    let image: Image
    let imageRef: String
    let labels: [String: String]
    let annotations: [String: String]
    let logPath: String

    init(_ container: Container) {
        id = container.id
        metadata = Metadata(name: container.config.metadata.name, attempt: container.config.metadata.attempt)
        createdAt = container.createdAt
        var started: Int64 = 0
        if case .running(let at) = container.state { started = at }
        startedAt = started
        image = Image(image: container.config.image.image)
        imageRef = container.imageReference
        labels = container.labels
        annotations = container.config.annotations
        logPath = container.logPath
    }

    private enum CodingKeys: String, CodingKey {
        case id, metadata, state, image, labels, annotations
        case createdAt = "created_at"
        case startedAt = "started_at"
        case imageRef = "image_ref"
        case logPath = "log_path"
    }
}
