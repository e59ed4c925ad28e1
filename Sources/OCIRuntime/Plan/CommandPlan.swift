internal import Core
public import LaunchAPI
public import LinuxKernel
internal import SystemPackage

/// A program of the host that runs under a monitor, as a container's own process would: another OCI runtime.
public struct CommandPlanRequest: Sendable {
    public var id: String
    public var arguments: [String]
    public var environment: [String]
    public var terminal: Bool
    /// `nil` for a command beside one that has a monitor.
    public var monitor: MonitorOptions?
    public var stdio: StdioOptions?
    /// The cgroup that the program makes: whose processes are the container's.
    public var cgroup: Cgroup?

    /// - Parameter arguments: the first one is the program's path.
    public init(id: String, arguments: [String], environment: [String], terminal: Bool) {
        self.id = id
        self.arguments = arguments
        self.environment = environment
        self.terminal = terminal
    }
}

extension PlanCompiler {
    /// The process stays in the host's namespaces and has all rights. With a monitor it waits for its start.
    public func compileCommand(_ request: CommandPlanRequest) throws -> Berth_Launch_V1_Plan {
        guard let program = request.arguments.first, program.hasPrefix("/") else {
            throw BerthError.invalid(
                field: "program", value: request.arguments.first ?? "", rule: "must be an absolute path")
        }
        var steps = PlanBuilder()
        steps.host("clone the process of \(program)", .clone(.init()))
        steps.child("start a session", .newSession(.init()))
        if request.terminal { steps.child("make the terminal", .setupTerminal(.init())) }
        steps.child("close descriptors", .closeDescriptors(.with { $0.first = 3 }))
        if request.monitor != nil { steps.child("wait for start", .waitForStart(.init())) }
        steps.child(
            "exec \(program)",
            .exec(
                .with {
                    $0.path = program
                    $0.args = request.arguments
                    $0.env = request.environment
                }))
        var plan = steps.plan(id: request.id)
        if let stdio = request.stdio { plan.stdio = stdio.message(terminal: request.terminal) }
        guard let monitor = request.monitor else { return plan }
        plan.monitor = .with {
            $0.socket = monitor.socket.string
            $0.exitPath = monitor.exitPath.string
            $0.cgroup = request.cgroup?.listingDirectory?.string ?? ""
            if let memory = request.cgroup?.directory(of: "memory") {
                $0.oomPath =
                    memory.path.appending(memory.hierarchy.isUnified ? "memory.events" : "memory.oom_control").string
            }
        }
        return plan
    }
}
