public import Core

/// The configuration of an image: how to run it and what its layers are (image-spec, config.md).
///
/// Everything here comes from outside and is data: no field names a host path or is run on the host.
public struct ImageConfig: Hashable, Sendable, Codable {
    public var created: String?
    public var author: String?
    public var architecture: String
    public var os: String
    public var variant: String?
    public var osVersion: String?
    public var config: Execution?
    public var rootfs: RootFS
    public var history: [History]?

    enum CodingKeys: String, CodingKey {
        case created, author, architecture, os, variant, config, rootfs, history
        case osVersion = "os.version"
    }

    public init(
        platform: Platform = .host, created: String? = nil, config: Execution? = nil, rootfs: RootFS,
        history: [History]? = nil
    ) {
        architecture = platform.architecture
        os = platform.os
        variant = platform.variant
        self.created = created
        self.config = config
        self.rootfs = rootfs
        self.history = history
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        created = try container.decodeIfPresent(String.self, forKey: .created)
        author = try container.decodeIfPresent(String.self, forKey: .author)
        architecture = try container.decodeIfPresent(String.self, forKey: .architecture) ?? ""
        os = try container.decodeIfPresent(String.self, forKey: .os) ?? ""
        variant = try container.decodeIfPresent(String.self, forKey: .variant)
        osVersion = try container.decodeIfPresent(String.self, forKey: .osVersion)
        config = try container.decodeIfPresent(Execution.self, forKey: .config)
        rootfs = try container.decode(RootFS.self, forKey: .rootfs)
        history = try container.decodeIfPresent([History].self, forKey: .history)
    }

    public var platform: Platform { Platform(os: os, architecture: architecture, variant: variant) }

    /// Configs larger than this are refused before they are read.
    public static let sizeLimit = 8 << 20

    public static func decode(_ bytes: [UInt8], what: String) throws -> ImageConfig {
        try StrictJSON.decode(ImageConfig.self, from: bytes, what: what, limit: sizeLimit)
    }
}

extension ImageConfig {
    /// Defaults for a container of the image.
    public struct Execution: Hashable, Sendable, Codable {
        public var user: String?
        public var exposedPorts: [String: Empty]?
        public var env: [String]?
        public var entrypoint: [String]?
        public var cmd: [String]?
        public var volumes: [String: Empty]?
        public var workingDir: String?
        public var labels: [String: String]?
        public var stopSignal: String?
        public var argsEscaped: Bool?

        enum CodingKeys: String, CodingKey {
            case user = "User"
            case exposedPorts = "ExposedPorts"
            case env = "Env"
            case entrypoint = "Entrypoint"
            case cmd = "Cmd"
            case volumes = "Volumes"
            case workingDir = "WorkingDir"
            case labels = "Labels"
            case stopSignal = "StopSignal"
            case argsEscaped = "ArgsEscaped"
        }

        public init(
            user: String? = nil, env: [String]? = nil, entrypoint: [String]? = nil, cmd: [String]? = nil,
            workingDir: String? = nil, labels: [String: String]? = nil
        ) {
            self.user = user
            self.env = env
            self.entrypoint = entrypoint
            self.cmd = cmd
            self.workingDir = workingDir
            self.labels = labels
        }
    }

    /// The empty object that config.md uses as a set member's value.
    public struct Empty: Hashable, Sendable, Codable {
        public init() {}
    }

    public struct RootFS: Hashable, Sendable, Codable {
        public var type: String
        /// Digests of the uncompressed layers, base layer first.
        public var diffIDs: [Digest]

        enum CodingKeys: String, CodingKey {
            case type
            case diffIDs = "diff_ids"
        }

        public init(diffIDs: [Digest]) {
            type = "layers"
            self.diffIDs = diffIDs
        }

        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            type = try container.decodeIfPresent(String.self, forKey: .type) ?? "layers"
            var digests: [Digest] = []
            for text in try container.decodeIfPresent([String].self, forKey: .diffIDs) ?? [] {
                do {
                    digests.append(try Digest(text))
                } catch {
                    throw DecodingError.dataCorruptedError(
                        forKey: .diffIDs, in: container, debugDescription: "\(error)")
                }
            }
            diffIDs = digests
        }
    }

    public struct History: Hashable, Sendable, Codable {
        public var created: String?
        public var createdBy: String?
        public var author: String?
        public var comment: String?
        public var emptyLayer: Bool?

        enum CodingKeys: String, CodingKey {
            case created, author, comment
            case createdBy = "created_by"
            case emptyLayer = "empty_layer"
        }

        public init(created: String? = nil, createdBy: String? = nil, comment: String? = nil) {
            self.created = created
            self.createdBy = createdBy
            self.comment = comment
        }
    }
}
