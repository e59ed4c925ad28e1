private import Foundation
internal import Core
internal import LinuxKernel
public import SystemPackage

/// A directory of a test's own, removed with all mounts below it when the test lets go of it.
///
/// On /tmp by default: under user-mode Linux that is a tmpfs, which can be an overlay's upper layer.
public final class ScratchDirectory: Sendable {
    public let path: FilePath

    public init(_ purpose: String = "test", below parent: FilePath = "/tmp") throws {
        path = parent.appending("berth-\(purpose)-\(Identifier.random().prefix(8))")
        try Files.makeDirectories(path, mode: 0o755)
    }

    deinit {
        let mounts = (try? MountTable.read()) ?? []
        for mount in MountTable.below(path, in: mounts) {
            try? Syscall.umount2(FilePath(mount.target), .detach)
        }
        try? Files.removeTree(path)
    }

    public func appending(_ name: String) -> FilePath { path.appending(name) }

    /// Makes a directory below this one.
    @discardableResult
    public func directory(_ name: String, mode: UInt32 = 0o755) throws -> FilePath {
        let made = path.pushing(FilePath(name))
        try Files.makeDirectories(made, mode: mode)
        return made
    }

    /// Writes a file below this one, with the directories it needs.
    @discardableResult
    public func file(_ name: String, _ text: String, mode: UInt32 = 0o644) throws -> FilePath {
        let made = path.pushing(FilePath(name))
        try Files.makeDirectories(made.removingLastComponent())
        try Files.writeAtomically(made, Array(text.utf8), mode: mode)
        return made
    }
}

/// Waits until `condition` holds, looking every 20 ms.
///
/// - Throws: `Timeout` that names `what` after `limit`.
public func eventually(
    _ what: String, within limit: Duration = .seconds(10), isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit * patience
    while true {
        if try await condition() { return }
        guard ContinuousClock.now < deadline else { throw Timeout(what: what, limit: limit) }
        try await Task.sleep(for: .milliseconds(20))
    }
}

/// How many times longer everything may take: hack/vm emulates its processor.
private let patience = ProcessInfo.processInfo.environment["BERTH_TEST_PATIENCE"].flatMap { Int($0) } ?? 1

public struct Timeout: Error, CustomStringConvertible {
    let what: String
    let limit: Duration
    public var description: String { "waited \(limit) for \(what)" }
}
