internal import ContainerdAPI
internal import Core
internal import Engine
internal import SwiftProtobuf
internal import struct Foundation.Data

extension StorageEvent {
    func envelope() throws -> Containerd_Types_Envelope {
        var envelope = Containerd_Types_Envelope()
        envelope.timestamp = Google_Protobuf_Timestamp(nanoseconds: time)
        envelope.namespace = namespace
        envelope.topic = topic
        if case .published(let typeURL, let value) = payload {
            envelope.event.typeURL = typeURL
            envelope.event.value = Data(value)
        } else if let message {
            // The bare name, without the host that Any's own packing puts before it: as containerd's clients look it up.
            envelope.event.typeURL = type(of: message).protoMessageName
            envelope.event.value = try message.serializedData()
        }
        return envelope
    }

    /// `namespace`, `topic`, and `event.FIELD` of the events of the daemon itself.
    func field(_ path: [String]) -> String? {
        switch path.first {
        case "namespace": namespace
        case "topic": topic
        case "event": eventField(path.dropFirst())
        default: nil
        }
    }

    private func eventField(_ path: [String].SubSequence) -> String? {
        switch (payload, path.first) {
        case (.imageCreate(let name, _), "name"), (.imageUpdate(let name, _), "name"), (.imageDelete(let name), "name"),
            (.namespaceCreate(let name, _), "name"), (.namespaceUpdate(let name, _), "name"),
            (.namespaceDelete(let name), "name"), (.snapshotCommit(_, let name, _), "name"),
            (.imagePull(let name, _), "name"):
            name
        case (.imageCreate(_, let labels), "labels"), (.imageUpdate(_, let labels), "labels"),
            (.namespaceCreate(_, let labels), "labels"), (.namespaceUpdate(_, let labels), "labels"):
            labelField(labels, path.dropFirst())
        case (.contentDelete(let digest), "digest"):
            digest.description
        case (.imagePull(_, let progress), "digest"):
            progress.descriptor.digest.description
        case (.imagePull(_, let progress), "state"):
            progress.state.rawValue
        case (.snapshotPrepare(let key, _, _), "key"), (.snapshotCommit(let key, _, _), "key"),
            (.snapshotRemove(let key, _), "key"):
            key
        case (.snapshotPrepare(_, let parent, _), "parent"):
            parent
        case (.snapshotPrepare(_, _, let snapshotter), "snapshotter"),
            (.snapshotCommit(_, _, let snapshotter), "snapshotter"),
            (.snapshotRemove(_, let snapshotter), "snapshotter"):
            snapshotter
        default:
            nil
        }
    }

    private var message: (any Message)? {
        switch payload {
        case .imageCreate(let name, let labels):
            Containerd_Services_Images_V1_ImageCreate.with { ($0.name, $0.labels) = (name, labels) }
        case .imageUpdate(let name, let labels):
            Containerd_Services_Images_V1_ImageUpdate.with { ($0.name, $0.labels) = (name, labels) }
        case .imageDelete(let name):
            Containerd_Services_Images_V1_ImageDelete.with { $0.name = name }
        case .imagePull(let name, let progress):
            Berth_Events_V1_ImagePull.with {
                ($0.name, $0.digest) = (name, progress.descriptor.digest.description)
                ($0.mediaType, $0.state) = (progress.descriptor.mediaType.rawValue, progress.state.rawValue)
                ($0.received, $0.total) = (progress.received, progress.descriptor.size)
            }
        case .contentDelete(let digest):
            Containerd_Events_ContentDelete.with { $0.digest = digest.description }
        case .snapshotPrepare(let key, let parent, let snapshotter):
            Containerd_Events_SnapshotPrepare.with {
                ($0.key, $0.parent, $0.snapshotter) = (key, parent, snapshotter)
            }
        case .snapshotCommit(let key, let name, let snapshotter):
            Containerd_Events_SnapshotCommit.with { ($0.key, $0.name, $0.snapshotter) = (key, name, snapshotter) }
        case .snapshotRemove(let key, let snapshotter):
            Containerd_Events_SnapshotRemove.with { ($0.key, $0.snapshotter) = (key, snapshotter) }
        case .namespaceCreate(let name, let labels):
            Containerd_Events_NamespaceCreate.with { ($0.name, $0.labels) = (name, labels) }
        case .namespaceUpdate(let name, let labels):
            Containerd_Events_NamespaceUpdate.with { ($0.name, $0.labels) = (name, labels) }
        case .namespaceDelete(let name):
            Containerd_Events_NamespaceDelete.with { $0.name = name }
        case .published:
            nil
        }
    }
}
