internal import CKernel
internal import Glibc
public import SystemPackage

/// A child of this process.
public struct ChildProcess: Sendable {
    public let pid: Int32
    public let pidfd: OwnedDescriptor

    /// Waits for its end and reaps it. Cancellation throws and leaves the process alone.
    public func wait() async throws -> ExitStatus {
        while true {
            if let status = try Syscall.wait(pidfd: pidfd.fd, noHang: true) { return status }
            try await Poller.shared.waitForExit(pidfd.fd)
        }
    }

    /// As `wait()`, blocking the thread.
    public func waitBlocking() throws(Errno) -> ExitStatus {
        while true {
            if let status = try Syscall.wait(pidfd: pidfd.fd) { return status }
        }
    }

    public func signal(_ number: Int32) throws(Errno) {
        try Syscall.pidfdSendSignal(pidfd.fd, number)
    }
}

public enum Spawn {
    /// Starts a program by vfork and exec in C: no Swift runs in the child.
    ///
    /// The child has default signal actions, descriptors 0 to 2 of the caller unless they are in `descriptors`, and of
    /// the others only those in `descriptors` (ours, number in the child).
    ///
    /// - Parameter killWithParent: the child is killed when the calling *thread* ends: only for threads that outlive it.
    /// - Throws: the errno of exec too, such as `noSuchFileOrDirectory`.
    public static func spawn(
        executable: FilePath, arguments: [String], environment: [String],
        descriptors: [(FileDescriptor, Int32)] = [], newSession: Bool = false, newGroup: Bool = false,
        killWithParent: Bool = false, directory: FilePath? = nil
    ) throws(Errno) -> ChildProcess {
        let mappings = descriptors.map { berth_descriptor_mapping(source: $0.0.rawValue, target: $0.1) }
        var flags: Int32 = 0
        if newSession { flags |= Int32(BERTH_SPAWN_NEW_SESSION) }
        if newGroup { flags |= Int32(BERTH_SPAWN_NEW_GROUP) }
        if killWithParent { flags |= Int32(BERTH_SPAWN_DIE_WITH_PARENT) }
        var pidfd: Int32 = -1
        let pid = withCStrings(arguments) { arguments in
            withCStrings(environment) { environment in
                executable.withPlatformString { path in
                    if let directory {
                        directory.withPlatformString {
                            berth_spawn(path, arguments, environment, $0, mappings, mappings.count, flags, &pidfd)
                        }
                    } else {
                        berth_spawn(path, arguments, environment, nil, mappings, mappings.count, flags, &pidfd)
                    }
                }
            }
        }
        return ChildProcess(pid: try Syscall.check(pid), pidfd: OwnedDescriptor(rawValue: pidfd))
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        let copies: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
        defer { for copy in copies { free(copy) } }
        return withUnsafeTemporaryAllocation(
            of: UnsafeMutablePointer<CChar>?.self, capacity: copies.count
        ) { buffer in
            _ = buffer.initialize(from: copies)
            // Never empty: the terminating null is there.
            return body(UnsafePointer(buffer.baseAddress.unsafelyUnwrapped))
        }
    }
}
