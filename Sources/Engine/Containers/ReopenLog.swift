internal import Core

extension Engine {
    /// Lets the container write its log to a new file of the same name, after a rotation.
    public func reopenLog(of id: String) async throws {
        let container = try container(id)
        guard container.state.isRunning, let entry = live[container.id] else {
            throw BerthError(
                .failedPrecondition, "container \"\(container.id)\" is \(container.state.name), not running")
        }
        try await entry.monitor.reopenLog()
    }
}
