internal import Core
internal import LinuxKernel
internal import SystemPackage

/// A process that does nothing: a launcher whose plan never comes. systemd makes a scope around a process alone, and
/// the container's is not there before its cgroup is.
///
/// It ends when this is let go, and when this program is killed, since its pipe is closed then.
public final class Placeholder: Sendable {
    private let process: ChildProcess
    private let pipe: OwnedDescriptor

    public var pid: Int32 { process.pid }

    init(process: ChildProcess, pipe: OwnedDescriptor) {
        self.process = process
        self.pipe = pipe
    }

    deinit {
        try? process.signal(9)
        _ = try? process.waitBlocking()
    }
}

extension Launcher {
    public func placeholder() throws -> Placeholder {
        do {
            let image = try sealedImage()
            let (plan, end) = try Syscall.pipe()
            let null = try Syscall.open("/dev/null", [.readWrite, .closeOnExec])
            let process = try withExtendedLifetime((plan, null)) {
                try Spawn.spawn(
                    executable: FilePath("/proc/\(Syscall.processID)/fd/\(image.rawValue)"),
                    arguments: ["berth-launch", "run", "--plan-fd", "3", "--report-fd", "4", "--id", "placeholder"],
                    environment: [],
                    descriptors: [(null.fd, 0), (null.fd, 1), (null.fd, 2), (plan.fd, 3), (null.fd, 4)])
            }
            return Placeholder(process: process, pipe: end)
        } catch let error as Errno {
            throw BerthError(.internal, "start \(executable)", cause: error)
        }
    }
}
