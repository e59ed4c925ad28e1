internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

/// The snapshot service of all snapshotters. Queries and what changes snapshots have files of their own.
struct SnapshotServer: Containerd_Services_Snapshots_V1_Snapshots.SimpleServiceProtocol {
    let snapshots: SnapshotService

    /// - Throws: `BerthError` (`invalidArgument`) for another snapshotter, as containerd answers.
    func scope(snapshotter: String) throws -> StorageScope {
        guard !snapshotter.isEmpty else {
            throw BerthError.invalid(field: "snapshotter", value: "", rule: "must be given")
        }
        return try snapshots.scope(CallHeaders.scope(), snapshotter: snapshotter)
    }
}
