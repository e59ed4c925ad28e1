internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

/// The snapshot service; the one snapshotter is `overlayfs`. Queries and what changes snapshots have files of their own.
struct SnapshotServer: Containerd_Services_Snapshots_V1_Snapshots.SimpleServiceProtocol {
    let snapshots: SnapshotService

    /// - Throws: `BerthError` (`invalidArgument`) for another snapshotter, as containerd answers.
    static func scope(snapshotter: String) throws -> StorageScope {
        guard !snapshotter.isEmpty else {
            throw BerthError.invalid(field: "snapshotter", value: "", rule: "must be given")
        }
        guard snapshotter == SnapshotService.snapshotterName else {
            throw BerthError.invalid(
                field: "snapshotter", value: snapshotter,
                rule: "is not loaded; the only one is \(SnapshotService.snapshotterName)")
        }
        return try CallHeaders.scope()
    }
}
