public import Core
public import Images
private import Synchronization

/// Something that happened to images, content, snapshots or namespaces, or that a client published.
public struct StorageEvent: Sendable, Hashable {
    public enum Payload: Sendable, Hashable {
        case imageCreate(name: String, labels: [String: String])
        case imageUpdate(name: String, labels: [String: String])
        case imageDelete(name: String)
        /// Of one of the image's blobs.
        case imagePull(name: String, PullProgress)
        case contentDelete(digest: Digest)
        case snapshotPrepare(key: String, parent: String, snapshotter: String)
        case snapshotCommit(key: String, name: String, snapshotter: String)
        case snapshotRemove(key: String, snapshotter: String)
        case namespaceCreate(name: String, labels: [String: String])
        case namespaceUpdate(name: String, labels: [String: String])
        case namespaceDelete(name: String)
        /// A message of a client, passed on unread.
        case published(typeURL: String, value: [UInt8])
    }

    /// Nanoseconds since 1970.
    public var time: Int64
    public var namespace: String
    /// `/images/create` and the like.
    public var topic: String
    public var payload: Payload

    public init(time: Int64, namespace: String, topic: String, payload: Payload) {
        self.time = time
        self.namespace = namespace
        self.topic = topic
        self.payload = payload
    }

    init(namespace: String, _ payload: Payload) {
        let topic =
            switch payload {
            case .imageCreate: "/images/create"
            case .imageUpdate: "/images/update"
            case .imageDelete: "/images/delete"
            case .imagePull: "/images/pull"
            case .contentDelete: "/content/delete"
            case .snapshotPrepare: "/snapshot/prepare"
            case .snapshotCommit: "/snapshot/commit"
            case .snapshotRemove: "/snapshot/remove"
            case .namespaceCreate: "/namespaces/create"
            case .namespaceUpdate: "/namespaces/update"
            case .namespaceDelete: "/namespaces/delete"
            case .published: "/"
            }
        self.init(time: WallClock.now(), namespace: namespace, topic: topic, payload: payload)
    }
}

/// Hands every event to every subscriber.
public final class EventBus: Sendable {
    /// A subscriber that falls this many events behind is cut off with an error, so that it cannot fill the memory.
    public static let queueLimit = 1024

    private typealias Continuation = AsyncThrowingStream<StorageEvent, any Error>.Continuation

    private struct State {
        var subscribers: [UInt64: Continuation] = [:]
        var next: UInt64 = 0
    }

    private let state = Mutex(State())

    public init() {}

    public func publish(_ event: StorageEvent) {
        let subscribers = state.withLock { $0.subscribers }
        for (id, subscriber) in subscribers {
            guard case .dropped = subscriber.yield(event) else { continue }
            state.withLock { $0.subscribers[id] = nil }
            subscriber.finish(
                throwing: BerthError(
                    .resourceExhausted, "the subscriber is more than \(Self.queueLimit) events behind",
                    advice: "subscribe again and read faster, or filter by topic"))
        }
    }

    /// Events from now on, until the stream is dropped.
    public func subscribe() -> AsyncThrowingStream<StorageEvent, any Error> {
        let (stream, continuation) = AsyncThrowingStream.makeStream(
            of: StorageEvent.self, throwing: (any Error).self, bufferingPolicy: .bufferingOldest(Self.queueLimit))
        let id = state.withLock { state in
            state.next += 1
            state.subscribers[state.next] = continuation
            return state.next
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.subscribers[id] = nil }
        }
        return stream
    }
}
