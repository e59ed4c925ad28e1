internal import Core
internal import Glibc
internal import LinuxKernel
internal import SystemPackage

/// Moves bytes between a descriptor (pipe, terminal, socket; not blocking) and closures.
enum DescriptorPump {
    private static let chunk = 32 << 10
    /// What may lie in a pipe or socket when its other end has gone: after a cancellation not more than this is taken.
    private static let leftover = 4 << 20

    /// Reads to the end of file, or of the terminal.
    ///
    /// Cancellation means that nothing new will come: what is there at that moment is still handed over.
    static func read(_ descriptor: OwnedDescriptor, to sink: @Sendable ([UInt8]) async throws -> Void) async throws {
        var buffer = [UInt8](repeating: 0, count: chunk)
        var remaining = Int.max
        while remaining > 0 {
            if remaining == .max, Task.isCancelled { remaining = leftover }
            let count = Glibc.read(descriptor.rawValue, &buffer, buffer.count)
            if count > 0 {
                if remaining != .max { remaining -= count }
                try await sink(Array(buffer[..<count]))
            } else if count == 0 {
                return
            } else {
                switch errno {
                case EINTR: continue
                // A terminal that no process has open any more; a peer that is gone.
                case EIO, ECONNRESET: return
                case EAGAIN:
                    if remaining != .max { return }
                    try? await Poller.shared.readable(descriptor.fd)
                default:
                    throw BerthError(.internal, "could not read a stream's output", cause: Errno(rawValue: errno))
                }
            }
        }
    }

    /// Writes until `source` ends. What comes after the reader closed its end is taken and dropped, so that whoever sends
    /// it is not held up.
    static func write(
        _ descriptor: OwnedDescriptor, from source: @Sendable () async throws -> [UInt8]?
    ) async throws {
        var isBroken = false
        while let bytes = try await source() {
            if !isBroken { isBroken = try await !write(bytes, to: descriptor) }
        }
    }

    /// - Returns: whether somebody can still read it.
    private static func write(_ bytes: [UInt8], to descriptor: OwnedDescriptor) async throws -> Bool {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor.rawValue, $0.baseAddress?.advanced(by: done), bytes.count - done)
            }
            if count >= 0 {
                done += count
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: try await Poller.shared.writable(descriptor.fd)
            case EPIPE, EIO, ECONNRESET: return false
            default: throw BerthError(.internal, "could not write a stream's input", cause: Errno(rawValue: errno))
            }
        }
        return true
    }
}
