internal import Core
internal import OCISpec

/// What is left of pods that are gone. CNI 1.1 has GC for what a runtime does not know of any more, such as addresses whose DEL
/// was lost; what it knows of gets its DEL.
extension CNINetwork {
    /// Pods wait for it.
    private static let collectionTime = Duration.seconds(10)

    /// DEL for attachments of pods that are not kept, then GC for networks of version 1.1. Everything is tried; the first
    /// failure is thrown at the end.
    public func collectGarbage(keeping: Set<String>) async throws {
        var failure = await deleteAttachments { keeping.contains($0) }
        do { try await tellGarbage() } catch { failure = failure ?? error }
        if let failure { throw failure }
    }

    public func collectLeftovers(isKept: @escaping @Sendable (String) -> Bool) async throws {
        var failure = await deleteAttachments(isKept)
        await gate.deleteAlone {
            do { try await tellGarbage() } catch { failure = failure ?? error }
        } later: {
        }
        if let failure { throw failure }
    }

    private func deleteAttachments(_ isKept: (String) -> Bool) async -> (any Error)? {
        var failure: (any Error)?
        for (podID, interface) in cache.all() where !isKept(podID) {
            do {
                try await inTurn(podID) {
                    // One that came meanwhile is known by now.
                    guard !isKept(podID) else { return }
                    try await detach(podID: podID, interface: interface)
                }
            } catch {
                failure = failure ?? error
            }
        }
        return failure
    }

    private func tellGarbage() async throws {
        guard case .found(let configuration, _) = directory.choice(), !configuration.disableGC,
            configuration.version >= .v1_1_0
        else { return }
        let version = try await plugins.negotiate(configuration.offered, plugins: configuration.plugins)
        guard version >= .v1_1_0 else { return }
        let valid = try cache.all().filter {
            try cache.read(podID: $0.podID, interface: $0.interface)?.networkName == configuration.name
        }
        var failure: (any Error)?
        for plugin in configuration.plugins {
            do {
                _ = try await plugins.call(
                    CNIInvocation(
                        .garbageCollect, plugin: plugin, name: configuration.name, version: version,
                        path: plugins.directories, validAttachments: valid.map { ($0.podID, $0.interface) }),
                    within: Self.collectionTime)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }
}
