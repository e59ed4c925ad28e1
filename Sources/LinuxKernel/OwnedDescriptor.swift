internal import Synchronization
public import SystemPackage

/// A file descriptor that is closed when its owner goes, or earlier by `close()`.
public final class OwnedDescriptor: Sendable {
    public let fd: FileDescriptor
    private let open = Atomic(true)

    /// Takes ownership of `fd`.
    public init(_ fd: FileDescriptor) {
        self.fd = fd
    }

    public convenience init(rawValue: Int32) {
        self.init(FileDescriptor(rawValue: rawValue))
    }

    public var rawValue: Int32 { fd.rawValue }

    /// Closes the descriptor; later calls do nothing.
    public func close() {
        guard open.exchange(false, ordering: .acquiringAndReleasing) else { return }
        try? fd.close()
    }

    /// Gives up ownership: the caller closes the result.
    public func release() -> FileDescriptor {
        open.store(false, ordering: .releasing)
        return fd
    }

    deinit { close() }
}
