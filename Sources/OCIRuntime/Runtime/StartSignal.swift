internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import SystemPackage

/// The start of a container that waits at its FIFO: the waiting process answers the open with one byte, and its exec
/// closes the FIFO; a failure after the start comes as a report.
struct StartSignal {
    private let container: KnownContainer

    init(_ container: KnownContainer) {
        self.container = container
    }

    func give() throws {
        guard let process = try container.initProcess() else {
            throw BerthError(.failedPrecondition, "cannot start a container that has stopped")
        }
        let fifo: OwnedDescriptor
        do {
            fifo = try Syscall.open(container.fifo, [.readOnly, .nonBlocking])
        } catch .noSuchFileOrDirectory {
            throw BerthError(.failedPrecondition, "cannot start an already running container")
        } catch {
            throw BerthError(.internal, "open \(container.fifo)", cause: error)
        }
        let answer = try read(fifo, process)
        guard !answer.isEmpty else {
            throw BerthError(.failedPrecondition, "cannot start a container that has stopped")
        }
        let frame = answer.dropFirst()
        guard !frame.isEmpty else { return }
        guard frame.count > 4,
            let report = try? Berth_Launch_V1_Report(serializedBytes: Array(frame.dropFirst(4))),
            case .failure(let failure) = report.report
        else { throw BerthError(.internal, "container \(container.id) answered its start with \(frame.count) bytes") }
        throw BerthError(launchFailure: failure)
    }

    /// To the end of file, or until the process has ended.
    private func read(_ fifo: OwnedDescriptor, _ process: OwnedDescriptor) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var ended = false
        var open = true
        while open {
            let events = try Syscall.poll([(fifo.fd, events: 1), (process.fd, events: 1)])
            if events[0] != 0 {
                let chunk = try chunk(fifo)
                bytes += chunk ?? []
                // Before a writer has opened it a FIFO reads as ended.
                open = !(chunk?.isEmpty == true && (!bytes.isEmpty || ended))
            } else if ended {
                open = false
            }
            if events[1] != 0 { ended = true }
            if bytes.count > 64 * 1024 { open = false }
        }
        return bytes
    }

    private func chunk(_ fifo: OwnedDescriptor) throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        do {
            let count = try buffer.withUnsafeMutableBytes { try fifo.fd.read(into: $0) }
            return Array(buffer[..<count])
        } catch Errno.resourceTemporarilyUnavailable {
            return nil
        }
    }
}
