internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCISpec

/// The steps that make a process what its configuration says, after its root is entered. The same for a container's
/// first process and for an exec'ed one.
struct ProcessSteps {
    let facts: HostFacts
    let process: RuntimeSpec.Process
    let linux: RuntimeSpec.Linux?
    let options: CompileOptions

    var user: RuntimeSpec.Process.User { process.user ?? .init() }

    /// What still needs the rights that the process loses.
    func prepare(_ steps: inout PlanBuilder, isExec: Bool) throws {
        if !options.noNewKeyring {
            // A kernel or an outer seccomp profile without keyrings is no reason to fail.
            steps.child("make a session keyring", optional: true, .newKeyring(.with { $0.name = "_ses.\(options.id)" }))
        }
        if !isExec, let personality = linux?.personality {
            let domains: [String: UInt64] = ["LINUX": 0, "LINUX32": 8]
            guard let domain = domains[personality.domain] else {
                throw BerthError.invalid(
                    field: "config.json: linux.personality.domain", value: personality.domain,
                    rule: "must be LINUX or LINUX32")
            }
            steps.child("set the personality", .setPersonality(.with { $0.domain = domain }))
        }
        for limit in process.rlimits ?? [] {
            guard let number = RuntimeSpec.Process.rlimitTypes.firstIndex(of: limit.type) else { continue }
            steps.child(
                "set \(limit.type) to \(words(limit.soft)), \(words(limit.hard))",
                .setRlimit(
                    .with {
                        $0.resource = UInt32(number)
                        $0.soft = limit.soft
                        $0.hard = limit.hard
                    }))
        }
        try schedule(&steps)
        try label(&steps)
        steps.child("set the umask", .setUmask(.with { $0.mask = user.umask ?? 0o022 }))
        if isExec, let score = process.oomScoreAdj {
            steps.child("set the OOM score to \(score)", .setOomScore(.with { $0.score = Int32(score) }))
        }
    }

    /// From the filter that needs a privilege to the exec.
    func confine(
        _ steps: inout PlanBuilder, waiting: Berth_Launch_V1_WaitForStart?,
        startHooks: [(String, Berth_Launch_V1_RunHook)] = []
    ) throws {
        let seccomp = try seccompStep()
        let noNewPrivileges = process.noNewPrivileges == true
        // Without no_new_privs a filter needs CAP_SYS_ADMIN; with it, the later, the fewer of our own calls it sees.
        let early = seccomp.map { !noNewPrivileges || !$0.listener.isEmpty } ?? false
        if noNewPrivileges { steps.child("set no_new_privs", .setNoNewPrivileges(.init())) }
        if early, let seccomp { steps.child("install the seccomp filter", .installSeccomp(seccomp)) }
        let deniesGroups = facts.deniesSetgroups(linux)
        if deniesGroups, user.additionalGids?.isEmpty == false {
            throw BerthError(
                .invalidArgument,
                "process.user.additionalGids: a user namespace that maps the caller's own group alone has no others")
        }
        steps.child(
            "become user \(user.uid), group \(user.gid)",
            .setUser(
                .with {
                    $0.uid = user.uid
                    $0.gid = user.gid
                    $0.additionalGids = user.additionalGids ?? []
                    $0.skipGroups = deniesGroups
                }))
        steps.child("enter \(process.cwd)", .changeDirectory(.with { $0.path = process.cwd }))
        steps.child("set capabilities", .setCapabilities(try capabilities()))
        if let waiting { steps.child("wait for start", .waitForStart(waiting)) }
        for (words, hook) in startHooks { steps.child(words, .runHook(hook)) }
        if !early, let seccomp { steps.child("install the seccomp filter", .installSeccomp(seccomp)) }
        steps.child("close descriptors", .closeDescriptors(.with { $0.first = 3 + options.preservedDescriptors }))
        let arguments = process.args ?? []
        steps.child(
            "exec \(arguments.first ?? "")",
            .exec(
                .with {
                    $0.path = arguments.first ?? ""
                    $0.args = arguments
                    $0.env = environment
                }))
    }

    /// The last of equal names holds, as getenv(3) of most programs would not have it.
    private var environment: [String] {
        var seen: Set<Substring> = []
        let kept = (process.env ?? []).reversed().filter { variable in
            seen.insert(variable.prefix { $0 != "=" }).inserted
        }
        return kept.reversed()
    }

    private func words(_ limit: UInt64) -> String {
        limit == UInt64.max ? "unlimited" : "\(limit)"
    }

    private func capabilities() throws -> Berth_Launch_V1_SetCapabilities {
        let sets = process.capabilities
        var message = Berth_Launch_V1_SetCapabilities()
        message.bounding = try bits(sets?.bounding, "bounding")
        message.permitted = try bits(sets?.permitted, "permitted")
        message.effective = try bits(sets?.effective, "effective") & message.permitted
        message.inheritable = try bits(sets?.inheritable, "inheritable")
        // The kernel takes as ambient only what is permitted and inheritable (capabilities(7)).
        message.ambient = try bits(sets?.ambient, "ambient") & message.permitted & message.inheritable
        return message
    }

    /// A name that is unknown is an error; one that this kernel or this process does not have is left out, as runc does.
    private func bits(_ names: [String]?, _ set: String) throws -> UInt64 {
        var bits: UInt64 = 0
        for (index, name) in (names ?? []).enumerated() {
            guard let capability = Capability(name: name) else {
                throw BerthError.invalid(
                    field: "process.capabilities.\(set)[\(index)]", value: name.prefix(64), rule: "is no capability")
            }
            if capability.rawValue <= facts.lastCapability { bits |= capability.bit }
        }
        return bits & facts.capabilities
    }

    private func schedule(_ steps: inout PlanBuilder) throws {
        if let scheduler = process.scheduler {
            let policies = [
                "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE",
            ]
            let flags: [String: UInt64] = [
                "SCHED_FLAG_RESET_ON_FORK": 1, "SCHED_FLAG_RECLAIM": 2, "SCHED_FLAG_DL_OVERRUN": 4,
                "SCHED_FLAG_KEEP_POLICY": 8, "SCHED_FLAG_KEEP_PARAMS": 16, "SCHED_FLAG_UTIL_CLAMP_MIN": 32,
                "SCHED_FLAG_UTIL_CLAMP_MAX": 64,
            ]
            var bits: UInt64 = 0
            for flag in scheduler.flags ?? [] {
                guard let bit = flags[flag] else {
                    throw BerthError.invalid(
                        field: "process.scheduler.flags", value: flag.prefix(64), rule: "is no scheduler flag")
                }
                bits |= bit
            }
            steps.child(
                "set the scheduler to \(scheduler.policy)",
                .setScheduler(
                    .with {
                        $0.policy = UInt32(policies.firstIndex(of: scheduler.policy) ?? 0)
                        $0.nice = scheduler.nice ?? 0
                        $0.priority = UInt32(clamping: scheduler.priority ?? 0)
                        $0.flags = bits
                        $0.runtime = scheduler.runtime ?? 0
                        $0.deadline = scheduler.deadline ?? 0
                        $0.period = scheduler.period ?? 0
                    }))
        }
        if let priority = process.ioPriority {
            let classes: [String: UInt32] = ["IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3]
            steps.child(
                "set the I/O priority to \(priority.class)",
                .setIoPriority(
                    .with {
                        $0.class = classes[priority.class] ?? 0
                        $0.priority = UInt32(clamping: priority.priority ?? 0)
                    }))
        }
    }

    private func label(_ steps: inout PlanBuilder) throws {
        if let profile = process.apparmorProfile, !profile.isEmpty, profile != "unconfined" {
            guard facts.hasAppArmor else {
                throw BerthError(
                    .failedPrecondition,
                    "process.apparmorProfile: \"\(profile.prefix(128))\": AppArmor is not enabled on this host")
            }
            steps.child(
                "set the AppArmor profile \(profile)",
                .setSecurityLabel(
                    .with {
                        $0.file = "apparmor/exec"
                        $0.label = "exec \(profile)"
                    }))
        }
        if let label = process.selinuxLabel, !label.isEmpty {
            guard facts.hasSELinux else {
                throw BerthError(
                    .failedPrecondition,
                    "process.selinuxLabel: \"\(label.prefix(128))\": SELinux is not enabled on this host")
            }
            steps.child(
                "set the SELinux label \(label)",
                .setSecurityLabel(
                    .with {
                        $0.file = "exec"
                        $0.label = label
                    }))
        }
    }

    // MARK: Seccomp

    private func seccompStep() throws -> Berth_Launch_V1_InstallSeccomp? {
        guard let seccomp = linux?.seccomp else { return nil }
        var message = Berth_Launch_V1_InstallSeccomp()
        message.program = try options.compileSeccomp(seccomp).data
        message.flags = try SeccompProfile.filterFlags(seccomp)
        let notifies = ([seccomp.defaultAction] + (seccomp.syscalls ?? []).map(\.action)).contains("SCMP_ACT_NOTIFY")
        let listener = seccomp.listenerPath ?? ""
        if notifies, listener.isEmpty {
            throw BerthError(
                .invalidArgument, "config.json: linux.seccomp.listenerPath: is missing for SCMP_ACT_NOTIFY")
        }
        if notifies {
            message.listener = listener
            message.listenerMetadata = Array((seccomp.listenerMetadata ?? "").utf8).data
            message.listenerDocument = listenerDocument(metadata: seccomp.listenerMetadata ?? "")
        } else if !listener.isEmpty {
            throw BerthError(.invalidArgument, "config.json: linux.seccomp.listenerPath: no rule has SCMP_ACT_NOTIFY")
        }
        return message
    }

    /// The ContainerProcessState of the specification, in pieces around the PID.
    private func listenerDocument(metadata: String) -> [PlanBytes] {
        struct Document: Encodable {
            var ociVersion = RuntimeSpec.version
            var fds = ["seccompFd"]
            var pid: Int32
            var metadata: String
            var state: ContainerState
        }
        let marker: Int32 = 0x7fff_fff1
        let document = Document(
            pid: marker, metadata: metadata,
            state: ContainerState(id: options.id, status: .creating, pid: marker, bundle: options.bundle.string))
        let text = String(decoding: (try? StrictJSON.encode(document)) ?? [], as: UTF8.self)
        var pieces: [PlanBytes] = []
        var rest = text[...]
        let needle = "\"pid\":\(marker)"
        while let range = rest.ranges(of: needle).first {
            pieces.append(Array((rest[..<range.lowerBound] + "\"pid\":").utf8).data)
            rest = rest[range.upperBound...]
        }
        pieces.append(Array(rest.utf8).data)
        return pieces
    }
}
