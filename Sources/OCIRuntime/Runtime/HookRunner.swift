internal import Core
internal import LinuxKernel
public import OCISpec
internal import SystemPackage

/// Hooks that run after the launcher is done: poststart and poststop.
public enum HookRunner {
    static let outputLimit = 8192

    /// Runs `hook` with `state` on its stdin, and waits.
    ///
    /// - Throws: `BerthError` with the end of its stderr where it fails or takes longer than its timeout.
    public static func run(_ hook: RuntimeSpec.Hook, state: ContainerState, kind: String, index: Int) throws {
        // The words that engines know from runc.
        let name = "error running \(kind) hook #\(index): \(hook.path)"
        let input = try Syscall.memfdCreate("berth-hook-state")
        try Files.writeAll(input.fd, try StrictJSON.encode(state))
        _ = try input.fd.seek(offset: 0, from: .start)
        let output = try Syscall.memfdCreate("berth-hook-output")
        let process: ChildProcess
        do {
            process = try Spawn.spawn(
                executable: FilePath(hook.path), arguments: hook.args ?? [hook.path], environment: hook.env ?? [],
                descriptors: [(input.fd, 0), (output.fd, 1), (output.fd, 2)], newGroup: true)
        } catch {
            throw BerthError(.failedPrecondition, name, cause: error)
        }
        let timeout = hook.timeout.map { Int32(clamping: $0 * 1000) } ?? -1
        let events = try Syscall.poll([(process.pidfd.fd, events: 1)], timeout: timeout)
        if events[0] == 0 {
            try? Syscall.kill(-process.pid, 9)
            _ = try? process.waitBlocking()
            throw BerthError(.deadlineExceeded, "\(name): took longer than \(hook.timeout ?? 0) s")
        }
        let status = try process.waitBlocking()
        guard status == .exited(0) else {
            _ = try output.fd.seek(offset: 0, from: .start)
            let bytes = (try? Files.read(output.fd, limit: 1 << 20)) ?? []
            let text = String(decoding: bytes.suffix(outputLimit), as: UTF8.self)
                .split(whereSeparator: \.isNewline).joined(separator: "; ")
            throw BerthError(
                .failedPrecondition,
                "\(name): ended with status \(status.code)\(text.isEmpty ? "" : ": \(text)")")
        }
    }
}
