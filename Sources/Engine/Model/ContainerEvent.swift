internal import Core
internal import Synchronization

/// A change of a container or pod, with the state of the whole pod at that moment.
public struct ContainerEvent: Sendable {
    public enum Kind: Sendable {
        case created, started, stopped, deleted
    }

    /// Of a container, or of a pod where the event is the pod's.
    public let containerID: String
    public let kind: Kind
    /// Nanoseconds since the epoch.
    public let at: Int64
    /// `nil` where the pod is gone.
    public let pod: PodSandbox?
    public let containers: [Container]
}

/// Hands each event to every subscriber, in order. A subscriber that falls behind by more than the bound is cut off with
/// an error, so that it lists again, instead of losing events silently.
final class ContainerEvents: Sendable {
    static let bound = 1000

    typealias Stream = AsyncThrowingStream<ContainerEvent, any Error>

    private let subscribers = Mutex<(next: UInt64, streams: [UInt64: Stream.Continuation])>((0, [:]))

    func subscribe() -> Stream {
        let (stream, continuation) = Stream.makeStream(bufferingPolicy: .bufferingOldest(Self.bound))
        let id = subscribers.withLock { state in
            defer { state.next += 1 }
            state.streams[state.next] = continuation
            return state.next
        }
        continuation.onTermination = { [weak self] _ in
            self?.subscribers.withLock { $0.streams[id] = nil }
        }
        return stream
    }

    /// Under the lock to the end: events that are published at once come to all subscribers in one order.
    func publish(_ event: ContainerEvent) {
        let behind = subscribers.withLock { state in
            let behind = state.streams.filter { stream in
                if case .dropped = stream.value.yield(event) { true } else { false }
            }
            for id in behind.keys { state.streams[id] = nil }
            return behind.values
        }
        for continuation in behind {
            continuation.finish(
                throwing: BerthError(
                    .resourceExhausted, "the reader of events is more than \(Self.bound) events behind",
                    advice: "list containers and subscribe again"))
        }
    }

    func finish() {
        let streams = subscribers.withLock { $0.streams }
        for continuation in streams.values { continuation.finish() }
    }
}
