/// Undo actions of a multi-step operation, run in reverse order if it fails.
///
/// Each step registers its undo when it has acquired something, so that a failed create leaves nothing behind:
///
///     try await withRollback { rollback in
///         let directory = try makeDirectory()
///         rollback.onFailure("remove \(directory)") { try remove(directory) }
///         ...
///     }
public struct Rollback {
    private var undos: [(what: String, undo: () async throws -> Void)] = []

    public mutating func onFailure(_ what: String, _ undo: @escaping () async throws -> Void) {
        undos.append((what, undo))
    }

    /// Runs the undo actions, newest first; one that fails does not keep the others from running.
    ///
    /// - Returns: what could not be undone, in words.
    fileprivate mutating func unwind() async -> [String] {
        var failures: [String] = []
        while let (what, undo) = undos.popLast() {
            do { try await undo() } catch { failures.append("could not \(what): \(error)") }
        }
        return failures
    }
}

/// Runs `body`; if it throws, undoes what it registered and rethrows, with what could not be undone in the message.
public func withRollback<Result>(
    isolation: isolated (any Actor)? = #isolation, _ body: (inout Rollback) async throws -> Result
) async throws -> Result {
    var rollback = Rollback()
    do {
        return try await body(&rollback)
    } catch {
        let leftovers = await rollback.unwind()
        guard !leftovers.isEmpty else { throw error }
        let code = (error as? BerthError)?.code ?? .internal
        throw BerthError(code, "\(error); \(leftovers.joined(separator: "; "))")
    }
}
