internal import Core
internal import Images
private import Synchronization

/// Tells of a pull's blobs as events: each new state at once, and how far a transfer is twice a second at most.
final class PullEvents: Sendable {
    private static let pause = Duration.milliseconds(500)

    private struct Told {
        var state: PullProgress.State
        var time: ContinuousClock.Instant
    }

    private let bus: EventBus
    private let namespace: String
    private let name: String
    private let told = Mutex<[Digest: Told]>([:])

    init(_ bus: EventBus, namespace: String, name: String) {
        self.bus = bus
        self.namespace = namespace
        self.name = name
    }

    func tell(_ progress: PullProgress) {
        guard isDue(progress) else { return }
        bus.publish(StorageEvent(namespace: namespace, .imagePull(name: name, progress)))
    }

    private func isDue(_ progress: PullProgress) -> Bool {
        let now = ContinuousClock.now
        return told.withLock { told in
            if let last = told[progress.descriptor.digest], last.state == progress.state, now - last.time < Self.pause {
                return false
            }
            told[progress.descriptor.digest] = Told(state: progress.state, time: now)
            return true
        }
    }
}
