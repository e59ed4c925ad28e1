extension Engine {
    /// Lets the container write its log to a new file of the same name, after a rotation.
    public func reopenLog(of id: String) async throws {
        let (_, entry) = try running(id)
        try await entry.monitor.reopenLog()
    }
}
