internal import Core
internal import Glibc
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage

/// A process that is waited for: signals go on to it, and its terminal is this one.
struct Foreground {
    private let signals: OwnedDescriptor

    /// Blocks every signal that can be handed on, so that none is lost between the start and the waiting.
    init() throws {
        let kept = [SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS]
        signals = try Syscall.signalDescriptor((Int32(1)...64).filter { !kept.contains($0) && $0 != 32 && $0 != 33 })
    }

    /// - Returns: the process's own exit status, or 128 and the signal that ended it.
    func wait(for process: LaunchedProcess) throws -> Int32 {
        let pidfd = try Syscall.pidfdOpen(process.pid)
        if let terminal = process.terminal {
            let relay = try TerminalRelay(master: terminal)
            defer { relay.restore() }
            return try loop(pidfd, relay)
        }
        return try loop(pidfd, nil)
    }

    private func loop(_ pidfd: OwnedDescriptor, _ relay: TerminalRelay?) throws -> Int32 {
        var status: ExitStatus?
        var input = true
        var output = relay != nil
        while status == nil || output {
            var polled: [(FileDescriptor, events: Int16)] = [(signals.fd, events: 1)]
            polled.append((pidfd.fd, events: status == nil ? 1 : 0))
            if let relay {
                polled.append((relay.master.fd, events: output ? 1 : 0))
                if input { polled.append((.standardInput, events: 1)) }
            }
            // What the terminal still holds is read when the process has gone; a background child that keeps it open is
            // not waited for.
            let events = try Syscall.poll(polled, timeout: status == nil ? -1 : 0)
            if events[0] != 0 { try handOn(pidfd, relay) }
            if events[1] != 0, status == nil { status = try Syscall.wait(pidfd: pidfd.fd, noHang: true) }
            guard let relay else { continue }
            if output, events[2] != 0 { output = relay.copyOutput() } else if status != nil { output = false }
            if input, events.count > 3, events[3] != 0 { input = relay.copyInput() }
        }
        return status?.code ?? 0
    }

    private func handOn(_ pidfd: OwnedDescriptor, _ relay: TerminalRelay?) throws {
        let (signal, _) = try Syscall.readSignal(signals.fd)
        switch signal {
        // Of the launcher, which has been waited for; of a write to a closed pipe; of a Go runtime's scheduler.
        case SIGCHLD, SIGPIPE, SIGURG: break
        case SIGWINCH where relay != nil: relay?.resize()
        default: try? Syscall.pidfdSendSignal(pidfd.fd, signal)
        }
    }
}

/// Copies between this process's terminal and the container's.
final class TerminalRelay {
    let master: OwnedDescriptor
    private let settings: TerminalDevice.Settings?

    init(master: OwnedDescriptor) throws {
        self.master = master
        settings = TerminalDevice.isTerminal(.standardInput) ? try TerminalDevice.makeRaw(.standardInput) : nil
        resize()
    }

    func resize() {
        guard let size = try? TerminalDevice.windowSize(.standardInput) else { return }
        try? TerminalDevice.setWindowSize(master.fd, columns: size.columns, rows: size.rows)
    }

    func restore() {
        if let settings { try? TerminalDevice.restore(.standardInput, settings) }
    }

    /// - Returns: whether more can come.
    func copyOutput() -> Bool { Self.copy(from: master.fd, to: .standardOutput) }

    func copyInput() -> Bool {
        if Self.copy(from: .standardInput, to: master.fd) { return true }
        // End of file in a pipe: a terminal is told by Ctrl-D.
        if settings == nil { _ = try? master.fd.writeAll([4]) }
        return false
    }

    private static func copy(from: FileDescriptor, to: FileDescriptor) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 32 * 1024)
        guard let count = try? buffer.withUnsafeMutableBytes({ try from.read(into: $0) }), count > 0 else {
            return false
        }
        return (try? to.writeAll(buffer[..<count])) != nil
    }
}
