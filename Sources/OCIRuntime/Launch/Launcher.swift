internal import Core
internal import Glibc
public import LaunchAPI
public import LinuxKernel
internal import SwiftProtobuf
internal import Synchronization
public import SystemPackage

/// What a launch left behind.
public struct LaunchedProcess: Sendable {
    /// The container's first process, in the caller's PID namespace.
    public var pid: Int32
    /// Clock ticks since boot (field 22 of /proc/PID/stat): tells a recycled PID.
    public var startTime: UInt64
    /// 0 where the plan has no monitor.
    public var monitorPID: Int32
    public var warnings: [LaunchWarning]
    /// The pty's master, where the plan made one that neither a monitor nor a console socket took.
    public var terminal: OwnedDescriptor?
    /// Of the steps, from 1, in the order of their ends; empty unless the plan asks for traces.
    public var stepTimes: [(step: UInt32, nanoseconds: UInt64)] = []
}

/// Starts `berth-launch` with a plan and reads what it reports.
///
/// The program runs from a sealed copy in memory, made once for the life of this object, so that a container that gets
/// hold of `/proc/PID/exe` cannot change the program on disk (CVE-2019-5736).
public final class Launcher: Sendable {
    public let executable: FilePath
    private let image = Mutex<OwnedDescriptor?>(nil)

    public init(executable: FilePath) {
        self.executable = executable
    }

    /// Finds the program: `configured`, else beside `program`, else in `../libexec/berth` of it.
    public static func locate(beside program: FilePath? = nil, configured: FilePath? = nil) throws -> Launcher {
        if let configured {
            guard access(configured.string, X_OK) == 0 else {
                throw BerthError(.notFound, "launcher \(configured) is not an executable file")
            }
            return Launcher(executable: configured)
        }
        let program = try program ?? FilePath(ownExecutable())
        let folder = program.parent
        let candidates = [
            folder.appending("berth-launch"),
            folder.parent.appending("libexec/berth/berth-launch"),
        ]
        guard let found = candidates.first(where: { access($0.string, X_OK) == 0 }) else {
            throw BerthError(
                .notFound, "berth-launch is neither at \(candidates[0]) nor at \(candidates[1])",
                advice: "build it with `make launcher`, or give its path in the configuration")
        }
        return Launcher(executable: found)
    }

    /// Carries out `plan`.
    ///
    /// Returns when the container waits for its start, or runs where its plan has no `wait_for_start`. Nothing of a
    /// failed plan stays behind. Cancellation does not stop a launch: it ends by itself.
    ///
    /// - Parameter descriptors: open descriptors for the launcher with their numbers there: its stdio (0 to 2, else
    ///   /dev/null) where the plan has no `stdio`, and from 3 on those that are preserved for the container.
    /// - Throws: `BerthError` that names the failing step.
    public func launch(
        _ plan: Berth_Launch_V1_Plan, descriptors: [(FileDescriptor, Int32)] = []
    ) async throws -> LaunchedProcess {
        let (process, report) = try start(plan, descriptors: descriptors)
        // Whoever started a process reaps it; the monitor may live as long as its container.
        Task.detached { _ = try? await process.wait() }
        var reading = ReportReading(plan: plan)
        var launched: LaunchedProcess?
        repeat {
            try await Poller.shared.readable(report.fd)
            launched = try reading.take(report.fd)
        } while launched == nil
        withExtendedLifetime(report) {}
        return try reading.result(launched)
    }

    /// `launch` for a program without an event loop (berth-oci). Where the plan has no monitor, the launcher has ended
    /// and is reaped when this returns.
    public func launchBlocking(
        _ plan: Berth_Launch_V1_Plan, descriptors: [(FileDescriptor, Int32)] = []
    ) throws -> LaunchedProcess {
        let (process, report) = try start(plan, descriptors: descriptors)
        let result = Result { try withExtendedLifetime(report) { try Self.readBlocking(report.fd, plan) } }
        if case .success(let launched) = result, launched.monitorPID != 0 { return launched }
        _ = try? process.waitBlocking()
        return try result.get()
    }

    private static func readBlocking(_ report: FileDescriptor, _ plan: Berth_Launch_V1_Plan) throws -> LaunchedProcess {
        var reading = ReportReading(plan: plan)
        var launched: LaunchedProcess?
        repeat {
            var wanted = pollfd(fd: report.rawValue, events: Int16(POLLIN), revents: 0)
            _ = poll(&wanted, 1, -1)
            launched = try reading.take(report)
        } while launched == nil
        return try reading.result(launched)
    }

    private func start(
        _ plan: Berth_Launch_V1_Plan, descriptors: [(FileDescriptor, Int32)]
    ) throws -> (ChildProcess, OwnedDescriptor) {
        do {
            let image = try sealedImage()
            let encoded: [UInt8] = try plan.serializedBytes()
            let planFile = try Self.memoryFile("berth-plan", encoded)
            let (ours, theirs) = try Syscall.socketpair(.sequencedPacket)
            let first = max(3, (descriptors.map(\.1).max() ?? 0) + 1)
            var passed = descriptors
            let null = try Syscall.open("/dev/null", [.readWrite, .closeOnExec])
            for number in Int32(0)...2 where !descriptors.contains(where: { $0.1 == number }) {
                passed.append((null.fd, number))
            }
            passed += [(planFile.fd, first), (theirs.fd, first + 1)]
            // By our own PID: the child's descriptor of the image may be covered by one that is passed.
            let process = try withExtendedLifetime((planFile, theirs, null)) {
                try Spawn.spawn(
                    executable: FilePath("/proc/\(getpid())/fd/\(image.rawValue)"),
                    arguments: [
                        "berth-launch", "run", "--plan-fd", "\(first)", "--report-fd", "\(first + 1)", "--id", plan.id,
                    ],
                    environment: [], descriptors: passed, newSession: plan.hasMonitor)
            }
            return (process, ours)
        } catch let error as Errno {
            throw BerthError(
                .internal, "start \(executable): \(BerthError.words(ofErrno: error.rawValue))", cause: error)
        }
    }

    func sealedImage() throws -> OwnedDescriptor {
        try image.withLock { cached in
            if let cached { return cached }
            let program = try FileDescriptor.open(executable, .readOnly, options: .closeOnExec)
            defer { try? program.close() }
            var status = stat()
            guard fstat(program.rawValue, &status) == 0 else { throw Errno(rawValue: errno) }
            let copy = try Syscall.memfdCreate("berth-launch", sealable: true)
            var left = Int(status.st_size)
            while left > 0 {
                let moved = sendfile(copy.rawValue, program.rawValue, nil, left)
                guard moved > 0 else { throw moved == 0 ? Errno.ioError : Errno(rawValue: errno) }
                left -= moved
            }
            // F_ADD_SEALS: F_SEAL_SEAL, _SHRINK, _GROW, _WRITE.
            guard fcntl(copy.rawValue, 1033, 15) == 0 else { throw Errno(rawValue: errno) }
            cached = copy
            return copy
        }
    }

    static func memoryFile(_ name: String, _ bytes: [UInt8]) throws -> OwnedDescriptor {
        let file = try Syscall.memfdCreate(name)
        try Files.writeAll(file.fd, bytes)
        return file
    }

    private static func ownExecutable() throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let length = buffer.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
        guard length > 0 else { throw BerthError(.internal, "read /proc/self/exe", cause: Errno(rawValue: errno)) }
        return String(decoding: buffer[..<length], as: UTF8.self)
    }
}

/// The launcher's reports, one frame (u32 length, little endian, then a Report) a packet.
struct ReportReading {
    static let limit = 64 * 1024

    private let plan: Berth_Launch_V1_Plan
    private var warnings: [LaunchWarning] = []
    private var stepTimes: [(step: UInt32, nanoseconds: UInt64)] = []

    init(plan: Berth_Launch_V1_Plan) {
        self.plan = plan
    }

    /// Reads one packet, if one is there.
    ///
    /// - Returns: the process once it is reported.
    mutating func take(_ socket: FileDescriptor) throws -> LaunchedProcess? {
        guard let (bytes, descriptors) = try Self.receive(socket) else { return nil }
        guard !bytes.isEmpty else {
            throw BerthError(.internal, "launch \(plan.id): the launcher ended without a report")
        }
        guard bytes.count >= 4, let report = try? Berth_Launch_V1_Report(serializedBytes: Array(bytes.dropFirst(4)))
        else {
            throw BerthError(.internal, "launch \(plan.id): the launcher sent \(bytes.count) bytes that are no report")
        }
        switch report.report {
        case .created(let created):
            return LaunchedProcess(
                pid: created.pid, startTime: created.startTime, monitorPID: created.monitorPid, warnings: warnings,
                terminal: descriptors.first, stepTimes: stepTimes)
        case .failure(let failure):
            if failure.pid > 0 { reap(failure.pid) }
            throw BerthError(launchFailure: failure)
        case .warning(let warning): warnings.append(LaunchWarning(warning))
        case .ended(let ended): reap(ended.pid)
        case .trace(let trace): stepTimes.append((trace.step, trace.nanoseconds))
        case nil: break
        }
        return nil
    }

    func result(_ launched: LaunchedProcess?) throws -> LaunchedProcess {
        guard let launched else { throw BerthError(.internal, "launch \(plan.id): no report") }
        return launched
    }

    /// - Returns: `nil` where nothing has come yet.
    private static func receive(_ socket: FileDescriptor) throws -> (bytes: [UInt8], descriptors: [OwnedDescriptor])? {
        do {
            return try Syscall.receive(from: socket, limit: limit, descriptorLimit: 1, nonBlocking: true)
        } catch Errno.resourceTemporarilyUnavailable {
            return nil
        }
    }

    /// A sibling is this process's child, and nobody else's to wait for. `__WALL`: it has no exit signal.
    private func reap(_ pid: Int32) {
        var status: Int32 = 0
        while waitpid(pid, &status, 0x4000_0000) < 0 && errno == EINTR {}
    }
}
