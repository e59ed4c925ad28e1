internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCISpec

/// The plan of one more process of a container.
struct ExecCompilation {
    let facts: HostFacts
    let process: RuntimeSpec.Process
    let target: ExecTarget
    let options: CompileOptions
    var steps = PlanBuilder()

    mutating func run() throws -> Berth_Launch_V1_Plan {
        // Membership in these is of children.
        var host = target.namespaces.intersection([.pid, .time])
        // Who is not root has the right to join them in the container's user namespace alone.
        let joinsUser = facts.effectiveUserID != 0 && target.namespaces.contains(.user) && !host.isEmpty
        if joinsUser { host.insert(.user) }
        let child = target.namespaces.subtracting(host)
        if !host.isEmpty, !joinsUser {
            steps.host("join the \(host.names) namespaces", .joinNamespace(join(host)))
        }
        steps.host(
            joinsUser ? "clone the process in the \(host.names) namespaces that it joins" : "clone the process",
            .clone(
                .with {
                    $0.cgroup = target.cgroup?.unifiedDirectory?.string ?? ""
                    $0.sibling = options.sibling
                    if joinsUser { $0.joins = [join(host)] }
                }))
        let affinity = try ProcessSteps.affinity(process)
        // Before it joins its cgroups, so that their load is on these CPUs from the first moment.
        if let initial = affinity.initial { steps.child("run on CPUs \(initial.text)", .setCpuAffinity(initial.step)) }
        for directory in target.cgroup?.directories ?? [] where !directory.hierarchy.isUnified {
            steps.child("join cgroup \(directory.path)", .joinCgroup(.with { $0.directory = directory.path.string }))
        }
        if let final = affinity.final {
            steps.child("run on CPUs \(final.text)", .setCpuAffinity(final.step))
        } else if affinity.initial == nil {
            steps.child("run on every CPU of the cpuset", .setCpuAffinity(.init()))
        }
        if joinsUser {
            // It came into the user namespace with the caller's ids, which need have no name there.
            steps.child("become root of the user namespace", .setUser(.with { $0.skipGroups = true }))
        }
        if !child.isEmpty { steps.child("join the \(child.names) namespaces", .joinNamespace(join(child))) }
        steps.child("start a session", .newSession(.init()))
        if process.terminal == true {
            steps.child(
                "make the terminal",
                .setupTerminal(
                    .with {
                        $0.width = process.consoleSize?.width ?? 0
                        $0.height = process.consoleSize?.height ?? 0
                        $0.consoleSocket = options.consoleSocket?.string ?? ""
                        $0.plainLineEnds = options.plainLineEnds
                    }))
        }
        let own = ProcessSteps(facts: facts, process: process, linux: target.linux, options: options)
        try own.prepare(&steps, isExec: true)
        try own.confine(&steps, waiting: nil)
        var plan = steps.plan(id: target.id)
        if let stdio = options.stdio { plan.stdio = stdio.message(terminal: process.terminal == true) }
        return plan
    }

    private func join(_ types: NamespaceTypes) -> Berth_Launch_V1_JoinNamespace {
        .with {
            $0.type = types.rawValue
            $0.targetPid = UInt32(clamping: target.pid)
        }
    }
}
