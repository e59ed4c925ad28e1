internal import NRIAPI
internal import OCISpec

// The parts of a runtime specification that both sides have, from one form to the other.

extension NRIMount {
    init(_ mount: RuntimeSpec.Mount) {
        self.init()
        destination = mount.destination
        type = mount.type ?? ""
        source = mount.source ?? ""
        options = mount.options ?? []
    }

    var specification: RuntimeSpec.Mount {
        RuntimeSpec.Mount(
            destination: destination, type: type.isEmpty ? nil : type, source: source.isEmpty ? nil : source,
            options: options)
    }
}

extension NRIHook {
    init(_ hook: RuntimeSpec.Hook) {
        self.init()
        path = hook.path
        args = hook.args ?? []
        env = hook.env ?? []
        if let limit = hook.timeout { timeout.value = Int64(limit) }
    }

    var specification: RuntimeSpec.Hook {
        RuntimeSpec.Hook(
            path: path, args: args.isEmpty ? nil : args, env: env,
            timeout: hasTimeout ? Int(clamping: timeout.value) : nil)
    }
}

extension NRIHooks {
    init(_ hooks: RuntimeSpec.Hooks) {
        self.init()
        prestart = (hooks.prestart ?? []).map(NRIHook.init)
        createRuntime = (hooks.createRuntime ?? []).map(NRIHook.init)
        createContainer = (hooks.createContainer ?? []).map(NRIHook.init)
        startContainer = (hooks.startContainer ?? []).map(NRIHook.init)
        poststart = (hooks.poststart ?? []).map(NRIHook.init)
        poststop = (hooks.poststop ?? []).map(NRIHook.init)
    }

    var isEmpty: Bool { self == NRIHooks() }
}

extension RuntimeSpec.Hooks {
    mutating func append(_ hooks: NRIHooks) {
        func joined(_ old: [RuntimeSpec.Hook]?, _ new: [NRIHook]) -> [RuntimeSpec.Hook]? {
            new.isEmpty ? old : (old ?? []) + new.map(\.specification)
        }
        prestart = joined(prestart, hooks.prestart)
        createRuntime = joined(createRuntime, hooks.createRuntime)
        createContainer = joined(createContainer, hooks.createContainer)
        startContainer = joined(startContainer, hooks.startContainer)
        poststart = joined(poststart, hooks.poststart)
        poststop = joined(poststop, hooks.poststop)
    }
}

extension NRIPOSIXRlimit {
    init(_ limit: RuntimeSpec.Process.Rlimit) {
        self.init()
        type = limit.type
        soft = limit.soft
        hard = limit.hard
    }
}

extension NRILinuxDevice {
    init(_ device: RuntimeSpec.Linux.Device) {
        self.init()
        path = device.path
        type = device.type
        major = device.major ?? 0
        minor = device.minor ?? 0
        if let mode = device.fileMode { fileMode.value = mode }
        if let owner = device.uid { uid.value = owner }
        if let owner = device.gid { gid.value = owner }
    }

    var specification: RuntimeSpec.Linux.Device {
        RuntimeSpec.Linux.Device(
            path: path, type: type, major: major, minor: minor, fileMode: hasFileMode ? fileMode.value : nil,
            uid: hasUid ? uid.value : nil, gid: hasGid ? gid.value : nil)
    }
}

extension NRILinuxSeccomp {
    init(_ seccomp: RuntimeSpec.Linux.Seccomp) {
        self.init()
        defaultAction = seccomp.defaultAction
        if let number = seccomp.defaultErrnoRet { defaultErrno.value = number }
        architectures = seccomp.architectures ?? []
        flags = seccomp.flags ?? []
        listenerPath = seccomp.listenerPath ?? ""
        listenerMetadata = seccomp.listenerMetadata ?? ""
        syscalls = (seccomp.syscalls ?? []).map { rule in
            NRILinuxSyscall.with {
                $0.names = rule.names
                $0.action = rule.action
                if let number = rule.errnoRet { $0.errnoRet.value = number }
                $0.args = (rule.args ?? []).map { argument in
                    NRILinuxSeccompArg.with {
                        $0.index = argument.index
                        $0.value = argument.value
                        $0.valueTwo = argument.valueTwo ?? 0
                        $0.op = argument.op
                    }
                }
            }
        }
    }

    var specification: RuntimeSpec.Linux.Seccomp {
        var result = RuntimeSpec.Linux.Seccomp(defaultAction: defaultAction)
        result.defaultErrnoRet = hasDefaultErrno ? defaultErrno.value : nil
        result.architectures = architectures.isEmpty ? nil : architectures
        result.flags = flags.isEmpty ? nil : flags
        result.listenerPath = listenerPath.isEmpty ? nil : listenerPath
        result.listenerMetadata = listenerMetadata.isEmpty ? nil : listenerMetadata
        result.syscalls = syscalls.map { rule in
            RuntimeSpec.Linux.Seccomp.Syscall(
                names: rule.names, action: rule.action, errnoRet: rule.hasErrnoRet ? rule.errnoRet.value : nil,
                args: rule.args.isEmpty
                    ? nil
                    : rule.args.map { .init(index: $0.index, value: $0.value, valueTwo: $0.valueTwo, op: $0.op) })
        }
        return result
    }
}

/// Words of the runtime specification by the numbers that the protocol has for them.
enum Words {
    static let ioClasses = ["", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]
    static let policies = [
        "", "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE",
    ]
    static let schedulerFlags = [
        "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX",
    ]
    static let memoryModes = [
        "MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED_MANY",
        "MPOL_WEIGHTED_INTERLEAVE",
    ]
    static let memoryFlags = ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES", "MPOL_F_NUMA_BALANCING"]

    /// - Returns: `nil` for a number that nobody knows.
    static func word(_ number: Int, in words: [String]) -> String? {
        words.indices.contains(number) ? words[number] : nil
    }
}

extension NRILinuxIOPriority {
    init(_ priority: RuntimeSpec.Process.IOPriority) {
        self.init()
        self.class = NRIIOPrioClass(rawValue: Words.ioClasses.firstIndex(of: priority.class) ?? 0) ?? .none
        self.priority = Int32(clamping: priority.priority ?? 0)
    }
}

extension NRILinuxScheduler {
    init(_ scheduler: RuntimeSpec.Process.Scheduler) {
        self.init()
        policy = NRILinuxSchedulerPolicy(rawValue: Words.policies.firstIndex(of: scheduler.policy) ?? 0) ?? .schedNone
        nice = scheduler.nice ?? 0
        priority = scheduler.priority ?? 0
        flags = (scheduler.flags ?? []).compactMap { flag in
            Words.schedulerFlags.firstIndex(of: flag).flatMap { NRILinuxSchedulerFlag(rawValue: $0) }
        }
        runtime = scheduler.runtime ?? 0
        deadline = scheduler.deadline ?? 0
        period = scheduler.period ?? 0
    }
}
