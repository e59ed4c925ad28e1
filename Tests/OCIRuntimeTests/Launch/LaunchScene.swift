internal import Core
internal import Glibc
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Hand-written plans over a root of Debian's static busybox, launched by bin/berth-launch (`make launcher`).
struct LaunchScene {
    typealias Plan = Berth_Launch_V1_Plan
    typealias Step = Berth_Launch_V1_Step

    let scratch: ScratchDirectory
    let launcher: Launcher
    let id: String

    init() throws {
        scratch = try ScratchDirectory("launch")
        id = scratch.path.lastComponent?.string ?? "launch"
        let package = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
            .removingLastComponent()
        launcher = try Launcher.locate(configured: package.appending("bin/berth-launch"))
        for folder in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
            try Files.makeDirectories(rootfs.appending(folder))
        }
        try copyBusybox(to: rootfs.appending("bin/busybox"))
        for name in [
            "sh", "true", "echo", "cat", "sleep", "id", "stty", "head", "tail", "seq", "kill", "printf", "test",
        ] {
            try Syscall.symlinkat(target: "busybox", rootfs.appending("bin").appending(name))
        }
    }

    var rootfs: FilePath { scratch.path.appending("rootfs") }
    private func copyBusybox(to path: FilePath) throws {
        let source = try FileDescriptor.open("/bin/busybox", .readOnly, options: .closeOnExec)
        let copy = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .closeOnExec], permissions: FilePermissions(rawValue: 0o755))
        while sendfile(copy.rawValue, source.rawValue, nil, 1 << 24) > 0 {}
        try source.close()
        try copy.close()
    }

    /// Tells a script that waits for the file /tmp/NAME.
    func tell(_ name: String) throws {
        try Files.writeAtomically(rootfs.appending("tmp").appending(name), [], mode: 0o644)
    }

    var socket: FilePath { scratch.path.appending("monitor.sock") }
    var exitPath: FilePath { scratch.path.appending("exit.pb") }
    var logPath: FilePath { scratch.path.appending("log") }
    var client: MonitorClient { MonitorClient(socket: socket) }

    /// A container of its own namespaces that runs `script`.
    func plan(
        _ script: String, terminal: Bool = false, stdin: Bool = false, wait: Bool = true,
        host: [Step] = [], afterClone: [Step] = [], program: String = "sh"
    ) -> Plan {
        .with {
            $0.version = 1
            $0.id = id
            $0.monitor.socket = socket.string
            $0.monitor.exitPath = exitPath.string
            $0.stdio.terminal = terminal
            $0.stdio.stdin = stdin
            $0.stdio.stdinOnce = stdin
            $0.stdio.logPath = logPath.string
            $0.steps = host + [hostStep("clone") { $0.clone.flags = 0x2C02_0000 | 0x4000_0000 }] + afterClone
            $0.steps += setUp(terminal: terminal)
            if wait { $0.steps.append(childStep("wait for start") { $0.waitForStart = .init() }) }
            $0.steps += [childStep("close") { $0.closeDescriptors.first = 3 }, exec(program, script)]
        }
    }

    /// `script` in the namespaces of the container's process.
    func execPlan(_ script: String, in pid: Int32, terminal: Bool = false, program: String = "sh") -> Plan {
        .with {
            $0.version = 1
            $0.id = "\(id)-exec"
            $0.stdio.terminal = terminal
            $0.steps = [
                hostStep("join pid") {
                    $0.joinNamespace.type = 0x2000_0000
                    $0.joinNamespace.targetPid = UInt32(pid)
                },
                hostStep("clone") { $0.clone.sibling = true },
                childStep("join") {
                    $0.joinNamespace.type = 0x4C02_0000
                    $0.joinNamespace.targetPid = UInt32(pid)
                },
                childStep("session") { $0.newSession = .init() },
            ]
            let console = childStep("terminal") {
                $0.setupTerminal.width = 90
                $0.setupTerminal.height = 30
            }
            if terminal { $0.steps.append(console) }
            $0.steps += [childStep("close") { $0.closeDescriptors.first = 3 }, exec(program, script)]
        }
    }

    func hostStep(_ words: String, _ fill: (inout Step) -> Void) -> Step {
        .with {
            $0.words = words
            fill(&$0)
        }
    }

    func childStep(_ words: String, _ fill: (inout Step) -> Void) -> Step {
        .with {
            $0.words = words
            $0.place = .child
            fill(&$0)
        }
    }

    private func exec(_ program: String, _ script: String) -> Step {
        childStep("exec \(program)") {
            $0.exec.path = program
            $0.exec.args = [program, "-c", script]
            $0.exec.env = ["PATH=/bin"]
        }
    }

    private func setUp(terminal: Bool) -> [Step] {
        let console = [
            childStep("terminal") {
                $0.setupTerminal.width = 80
                $0.setupTerminal.height = 24
            },
            childStep("console") { $0.bindConsole = .init() },
        ]
        return [
            childStep("open root") {
                $0.openRoot.path = rootfs.string
                $0.openRoot.propagation = 0x84000
            },
            childStep("mount proc at /proc") {
                $0.mount.type = "proc"
                $0.mount.target = "/proc"
                $0.mount.flags = 14
            },
            childStep("mount tmpfs at /dev") {
                $0.mount.type = "tmpfs"
                $0.mount.target = "/dev"
                $0.mount.flags = 2
                $0.mount.data = "mode=755,size=65536k"
            },
            childStep("create /dev/pts") { $0.createMountpoint.target = "/dev/pts" },
            childStep("mount devpts at /dev/pts") {
                $0.mount.type = "devpts"
                $0.mount.target = "/dev/pts"
                $0.mount.data = "newinstance,ptmxmode=0666,mode=0620"
            },
            node("null", 3), node("zero", 5),
            childStep("new session") { $0.newSession = .init() },
        ] + (terminal ? console : []) + [
            childStep("mask /proc/keys") { $0.maskPath.path = "/proc/keys" },
            childStep("pivot") { $0.pivotRoot.propagation = 0x84000 },
        ]
    }

    private func node(_ name: String, _ minor: UInt32) -> Step {
        childStep("make /dev/\(name)") {
            $0.makeNode.path = "/dev/\(name)"
            $0.makeNode.mode = 0o20666
            $0.makeNode.major = 1
            $0.makeNode.minor = minor
        }
    }

    /// Starts the container and waits for its end.
    func run(_ plan: Plan) async throws -> ExitRecord {
        _ = try await launcher.launch(plan)
        try await client.start()
        return try await end()
    }

    func end() async throws -> ExitRecord {
        try await client.waitForEnd()
        return try #require(try ExitRecord.read(at: exitPath))
    }

    /// The log's lines without their timestamps.
    func log(at path: FilePath? = nil) throws -> [String] {
        try Files.read(path ?? logPath, limit: 64 << 20).split(separator: UInt8(ascii: "\n")).map { line in
            String(decoding: line.drop { $0 != UInt8(ascii: " ") }.dropFirst(), as: UTF8.self)
        }
    }
}

/// Reads to the end of a pipe.
func readAll(_ pipe: OwnedDescriptor) async throws -> String {
    var text: [UInt8] = []
    var ended = false
    while !ended {
        try await Poller.shared.readable(pipe.fd)
        var buffer = [UInt8](repeating: 0, count: 4096)
        // A terminal whose last user has gone answers EIO.
        let count = (try? buffer.withUnsafeMutableBytes { try pipe.fd.read(into: $0) }) ?? 0
        text += buffer[..<count]
        ended = count == 0
    }
    return String(decoding: text, as: UTF8.self)
}
