internal import Core
internal import LinuxKernel
internal import SystemPackage

/// `--pidfd-socket`: whoever listens gets a pidfd of the process, which no recycled PID can fool.
enum PidfdSocket {
    static func send(_ pid: Int32, to socket: FilePath) throws {
        do {
            let pidfd = try Syscall.pidfdOpen(pid)
            let connection = try Syscall.connect(socket, .stream)
            // The name is what runc's receivers show; they use the descriptor.
            try Syscall.send(Array("pidfd".utf8), descriptors: [pidfd.fd], to: connection.fd)
        } catch {
            throw BerthError(.failedPrecondition, "--pidfd-socket: send a pidfd to \(socket)", cause: error)
        }
    }
}
