internal import Core
internal import OCISpec
internal import Store

/// The stored form of pods and containers: JSON of the model types, with the version that it was written in.
enum Records {
    /// 1: PodSandbox and Container as of release 0.1. New fields are optional; a changed meaning is a new version.
    static let version = 1

    static func record(of pod: PodSandbox) throws -> PodRecord {
        PodRecord(
            id: pod.id, name: pod.config.metadata.reservedName, createdAt: pod.createdAt, version: version,
            payload: try encode(pod))
    }

    static func record(of container: Container) throws -> ContainerRecord {
        ContainerRecord(
            id: container.id, podID: container.podID,
            name: container.config.metadata.reservedName(inPod: container.podID), createdAt: container.createdAt,
            version: version, payload: try encode(container))
    }

    static func pod(from record: PodRecord) throws -> PodSandbox {
        try decode(PodSandbox.self, record.payload, version: record.version, "pod sandbox \"\(record.id)\"")
    }

    static func container(from record: ContainerRecord) throws -> Container {
        try decode(Container.self, record.payload, version: record.version, "container \"\(record.id)\"")
    }

    private static func encode(_ value: some Encodable) throws -> [UInt8] {
        try StrictJSON.encode(value)
    }

    private static func decode<Value: Decodable>(
        _: Value.Type, _ payload: [UInt8], version: Int, _ what: String
    ) throws -> Value {
        guard version == Self.version else {
            throw BerthError(
                .failedPrecondition, "\(what) was stored by a newer version of berthd (record version \(version))")
        }
        do {
            return try StrictJSON.decode(Value.self, from: payload, what: what)
        } catch {
            throw BerthError(.dataLoss, "the stored record of \(what) is damaged", cause: error)
        }
    }
}
