internal import Core

extension RuntimeSpec.Process {
    /// The rules for a process by itself, as `exec --process` gives one.
    public func validate(as field: String = "process") throws {
        if let found = violation(at: field) {
            throw BerthError(.invalidArgument, "\(found.field): \(found.problem)")
        }
    }

    func violation(at field: String) -> SpecViolation? {
        guard let args, let program = args.first else { return SpecViolation("\(field).args", "must not be empty") }
        if program.isEmpty { return SpecViolation("\(field).args[0]", "must not be empty") }
        for (index, value) in args.enumerated() {
            if let found = zero(value, "\(field).args[\(index)]") { return found }
        }
        guard cwd.hasPrefix("/") else {
            return SpecViolation("\(field).cwd", "\"\(cwd.prefix(128))\" must be absolute")
        }
        if let found = zero(cwd, "\(field).cwd") { return found }
        for (index, value) in (env ?? []).enumerated() {
            if let found = zero(value, "\(field).env[\(index)]") { return found }
            guard let equals = value.firstIndex(of: "="), equals != value.startIndex else {
                return SpecViolation("\(field).env[\(index)]", "\"\(value.prefix(64))\" must be NAME=VALUE")
            }
        }
        if let umask = user?.umask, umask > 0o777 {
            return SpecViolation("\(field).user.umask", "\(umask) is more than 511 (0777)")
        }
        if let score = oomScoreAdj, !(-1000...1000).contains(score) {
            return SpecViolation("\(field).oomScoreAdj", "\(score) must be from -1000 to 1000")
        }
        return rlimitViolation(at: field) ?? schedulingViolation(at: field)
    }

    private func rlimitViolation(at field: String) -> SpecViolation? {
        let limits = rlimits ?? []
        for (index, limit) in limits.enumerated() {
            let field = "\(field).rlimits[\(index)]"
            guard Self.rlimitTypes.contains(limit.type) else {
                return SpecViolation("\(field).type", "\"\(limit.type.prefix(64))\" is unknown")
            }
            // There are sixteen of them, so that this ends.
            if limits[..<index].contains(where: { $0.type == limit.type }) {
                return SpecViolation("\(field).type", "\"\(limit.type)\" stands there twice")
            }
            if limit.soft > limit.hard {
                return SpecViolation(field, "has a soft limit of \(limit.soft), above the hard limit of \(limit.hard)")
            }
        }
        return nil
    }

    private func schedulingViolation(at field: String) -> SpecViolation? {
        if let scheduler {
            let known = [
                "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE",
            ]
            guard known.contains(scheduler.policy) else {
                return SpecViolation("\(field).scheduler.policy", "\"\(scheduler.policy.prefix(64))\" is unknown")
            }
            if let nice = scheduler.nice, !(-20...19).contains(nice) {
                return SpecViolation("\(field).scheduler.nice", "\(nice) must be from -20 to 19")
            }
            let realTime = ["SCHED_FIFO", "SCHED_RR"].contains(scheduler.policy)
            if let priority = scheduler.priority, priority != 0, !realTime {
                return SpecViolation("\(field).scheduler.priority", "is for SCHED_FIFO and SCHED_RR alone")
            }
            let deadline = (scheduler.runtime ?? 0, scheduler.deadline ?? 0, scheduler.period ?? 0)
            if deadline != (0, 0, 0), scheduler.policy != "SCHED_DEADLINE" {
                return SpecViolation(
                    "\(field).scheduler", "has runtime, deadline or period, which are for SCHED_DEADLINE alone")
            }
        }
        if let ioPriority {
            let known = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]
            guard known.contains(ioPriority.class) else {
                return SpecViolation("\(field).ioPriority.class", "\"\(ioPriority.class.prefix(64))\" is unknown")
            }
            if let priority = ioPriority.priority, !(0...7).contains(priority) {
                return SpecViolation("\(field).ioPriority.priority", "\(priority) must be from 0 to 7")
            }
        }
        return nil
    }

    /// In the order of their numbers (RLIMIT_CPU is 0).
    public static let rlimitTypes = [
        "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC",
        "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE",
        "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
    ]
}

extension RuntimeSpec.Linux {
    func violation() -> SpecViolation? {
        deviceViolation() ?? pathViolation() ?? seccompViolation() ?? resourceViolation()
    }

    private func deviceViolation() -> SpecViolation? {
        for (index, device) in (devices ?? []).enumerated() {
            let field = "linux.devices[\(index)]"
            guard device.path.hasPrefix("/") else {
                return SpecViolation("\(field).path", "\"\(device.path.prefix(128))\" must be absolute")
            }
            guard ["c", "u", "b", "p"].contains(device.type) else {
                return SpecViolation("\(field).type", "\"\(device.type.prefix(16))\" must be c, u, b or p")
            }
            for (name, number) in [("major", device.major), ("minor", device.minor)] where device.type != "p" {
                guard let number else { return SpecViolation("\(field).\(name)", "is missing") }
                guard (0...Int64(UInt32.max)).contains(number) else {
                    return SpecViolation("\(field).\(name)", "\(number) is no device number")
                }
            }
        }
        return nil
    }

    private func pathViolation() -> SpecViolation? {
        for (name, list) in [("maskedPaths", maskedPaths), ("readonlyPaths", readonlyPaths)] {
            for (index, path) in (list ?? []).enumerated() where !path.hasPrefix("/") || path.utf8.contains(0) {
                return SpecViolation("linux.\(name)[\(index)]", "\"\(path.prefix(128))\" must be absolute")
            }
        }
        let propagations = ["", "private", "shared", "slave", "unbindable"]
        let propagation = rootfsPropagation ?? ""
        guard propagations.contains(propagation) || propagations.contains(String(propagation.dropFirst())) else {
            return SpecViolation(
                "linux.rootfsPropagation",
                "\"\(propagation.prefix(32))\" must be private, shared, slave or unbindable")
        }
        return zero(cgroupsPath ?? "", "linux.cgroupsPath")
    }

    private func seccompViolation() -> SpecViolation? {
        for (index, call) in (seccomp?.syscalls ?? []).enumerated() {
            let field = "linux.seccomp.syscalls[\(index)]"
            if call.names.isEmpty { return SpecViolation("\(field).names", "must not be empty") }
            for (number, argument) in (call.args ?? []).enumerated() where argument.index > 5 {
                return SpecViolation("\(field).args[\(number)].index", "\(argument.index) must be from 0 to 5")
            }
        }
        return nil
    }

    private func resourceViolation() -> SpecViolation? {
        for (index, rule) in (resources?.devices ?? []).enumerated() {
            let field = "linux.resources.devices[\(index)]"
            if let type = rule.type, !["", "a", "c", "b"].contains(type) {
                return SpecViolation("\(field).type", "\"\(type.prefix(16))\" must be a, c or b")
            }
            // `a`, of old configurations, adds nothing to the letters beside it.
            if let access = rule.access, !access.allSatisfy({ "rwma".contains($0) }) {
                return SpecViolation("\(field).access", "\"\(access.prefix(16))\" must be of r, w and m")
            }
        }
        if let swap = resources?.memory?.swap, let limit = resources?.memory?.limit, swap > 0, limit > 0, swap < limit {
            return SpecViolation("linux.resources.memory.swap", "\(swap) is less than the memory limit of \(limit)")
        }
        if let weight = resources?.blockIO?.weight, weight != 0, !(10...1000).contains(weight) {
            return SpecViolation("linux.resources.blockIO.weight", "\(weight) must be from 10 to 1000")
        }
        return nil
    }
}
