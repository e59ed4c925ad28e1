internal import ContainerdAPI
internal import Engine
internal import SwiftProtobuf

extension SnapshotServer {
    static func message(_ info: SnapshotService.Info) -> Containerd_Services_Snapshots_V1_Info {
        var message = Containerd_Services_Snapshots_V1_Info()
        message.name = info.key
        message.parent = info.parent ?? ""
        switch info.kind {
        case .active: message.kind = .active
        case .view: message.kind = .view
        case .committed: message.kind = .committed
        }
        message.createdAt = Google_Protobuf_Timestamp(nanoseconds: info.created)
        message.updatedAt = Google_Protobuf_Timestamp(nanoseconds: info.updated)
        message.labels = info.labels
        return message
    }
}
