internal import Synchronization

/// CPU samples of pods' cgroups.
final class PodSamples: Sendable {
    private let table = Mutex<[String: CPUSamples]>([:])

    subscript(id: String) -> CPUSamples {
        table.withLock { table in
            if let samples = table[id] { return samples }
            let samples = CPUSamples()
            table[id] = samples
            return samples
        }
    }

    func forget(_ id: String) {
        table.withLock { $0[id] = nil }
    }
}
