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

    private var hasUserNamespace: Bool { linux?.namespaces?.contains { $0.type == "user" } == true }

    /// 0 without a user namespace, or where its mappings are not in the configuration.
    private var hostUserID: UInt32 {
        guard hasUserNamespace else { return 0 }
        return (linux?.uidMappings ?? []).hostID(of: user.uid) ?? 0
    }

    /// What still needs the rights that the process loses.
    func prepare(_ steps: inout PlanBuilder, isExec: Bool) throws {
        if !options.noNewKeyring {
            if facts.hasSELinux, let label = process.selinuxLabel, !label.isEmpty {
                // Else its processes could not look into it.
                steps.child("label the keyring \(label)", Self.selinux("keycreate", label))
            }
            // A kernel or an outer seccomp profile without keyrings is no reason to fail.
            steps.child("make a session keyring", optional: true, .newKeyring(.with { $0.name = "_ses.\(options.id)" }))
        }
        if let policy = linux?.memoryPolicy {
            steps.child(
                "set the memory policy \(policy.mode ?? "")", .setMemoryPolicy(try MemoryPolicy.step(policy)))
        }
        if let personality = linux?.personality {
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
        // Before any filter, which may not know the call. What is opened after it is close-on-exec by itself.
        steps.child("close descriptors", .closeDescriptors(.with { $0.first = 3 + options.preservedDescriptors }))
        if noNewPrivileges { steps.child("set no_new_privs", .setNoNewPrivileges(.init())) }
        if early, let seccomp { steps.child("install the seccomp filter", .installSeccomp(seccomp)) }
        let deniesGroups = facts.deniesSetgroups(linux)
        if deniesGroups, user.additionalGids?.isEmpty == false {
            throw BerthError(
                .invalidArgument,
                "process.user.additionalGids: a user namespace that maps the caller's own group alone has no others")
        }
        if !hasHome { steps.child("find the home of user \(user.uid)", .findHome(.with { $0.uid = user.uid })) }
        steps.child(
            "become user \(user.uid), group \(user.gid)",
            .setUser(
                .with {
                    $0.uid = user.uid
                    $0.gid = user.gid
                    $0.additionalGids = user.additionalGids ?? []
                    $0.skipGroups = deniesGroups
                    $0.hostUid = hostUserID
                }))
        steps.child("enter \(process.cwd)", .changeDirectory(.with { $0.path = process.cwd }))
        steps.child("set capabilities", .setCapabilities(capabilities()))
        if let waiting { steps.child("wait for start", .waitForStart(waiting)) }
        if !early, let seccomp { steps.child("install the seccomp filter", .installSeccomp(seccomp)) }
        // Programs of the container: what it may not do, they may not.
        for (words, hook) in startHooks { steps.child(words, .runHook(hook)) }
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
        var seen = SeenTexts()
        let kept = (process.env ?? []).reversed().filter { variable in
            seen.insert(String(variable.prefix { $0 != "=" }))
        }
        return kept.reversed().filter { $0 != "HOME=" }
    }

    /// An empty one counts as none, as engines have come to expect.
    private var hasHome: Bool {
        guard let home = (process.env ?? []).last(where: { $0.hasPrefix("HOME=") }) else { return false }
        return home != "HOME="
    }

    /// The CPUs of `process.execCPUAffinity`.
    static func affinity(
        _ process: RuntimeSpec.Process
    ) throws -> (
        initial: (text: String, step: Berth_Launch_V1_SetCPUAffinity)?,
        final: (text: String, step: Berth_Launch_V1_SetCPUAffinity)?
    ) {
        func step(
            _ list: String?, _ name: String
        ) throws -> (text: String, step: Berth_Launch_V1_SetCPUAffinity)? {
            guard let list, !list.isEmpty else { return nil }
            guard let mask = NumberList.mask(list) else {
                throw BerthError.invalid(
                    field: "process.execCPUAffinity.\(name)", value: list.prefix(64), rule: "is no list of CPUs")
            }
            return (list, .with { $0.mask = mask.data })
        }
        return (
            try step(process.execCPUAffinity?.initial, "initial"), try step(process.execCPUAffinity?.final, "final")
        )
    }

    private func words(_ limit: UInt64) -> String {
        limit == UInt64.max ? "unlimited" : "\(limit)"
    }

    private func capabilities() -> Berth_Launch_V1_SetCapabilities {
        let sets = process.capabilities
        var message = Berth_Launch_V1_SetCapabilities()
        message.bounding = bits(sets?.bounding)
        message.permitted = bits(sets?.permitted)
        message.effective = bits(sets?.effective) & message.permitted
        message.inheritable = bits(sets?.inheritable)
        // The kernel takes as ambient only what is permitted and inheritable (capabilities(7)).
        message.ambient = bits(sets?.ambient) & message.permitted & message.inheritable
        return message
    }

    /// What is unknown, or what this kernel or this process does not have, is left out, as runc does; `CapabilityWarnings`
    /// tells it. In a user namespace a process has them all (user_namespaces(7)), whatever its maker had.
    private func bits(_ names: [String]?) -> UInt64 {
        return (names ?? []).compactMap { Capability(name: $0) }.filter { $0.rawValue <= facts.lastCapability }
            .reduce(0) { $0 | $1.bit } & (hasUserNamespace ? .max : facts.capabilities)
    }

    private func schedule(_ steps: inout PlanBuilder) throws {
        if let scheduler = process.scheduler {
            // sched_setattr(2) refuses a deadline for a process that may not run on every CPU.
            if scheduler.policy == "SCHED_DEADLINE", linux?.resources?.cpu?.cpus?.isEmpty == false {
                throw BerthError(
                    .invalidArgument,
                    "process.scheduler.policy: process scheduler can't be used together with AllowedCPUs: SCHED_DEADLINE with linux.resources.cpu.cpus"
                )
            }
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
            steps.child("set the SELinux label \(label)", Self.selinux("exec", label))
        }
    }

    private static func selinux(_ file: String, _ label: String) -> Berth_Launch_V1_Step.OneOf_Action {
        .setSecurityLabel(
            .with {
                $0.file = file
                $0.label = label
            })
    }

    // MARK: Seccomp

    private func seccompStep() throws -> Berth_Launch_V1_InstallSeccomp? {
        guard let seccomp = linux?.seccomp else { return nil }
        var message = Berth_Launch_V1_InstallSeccomp()
        message.program = try options.compileSeccomp(seccomp).data
        message.flags = try SeccompProfile.filterFlags(seccomp)
        let notifies = ([seccomp.defaultAction] + (seccomp.syscalls ?? []).map(\.action)).contains("SCMP_ACT_NOTIFY")
        let listener = seccomp.listenerPath ?? ""
        // The descriptor that answers is handed over by a write, of which it would be told first.
        if seccomp.defaultAction == "SCMP_ACT_NOTIFY" {
            throw BerthError(
                .invalidArgument,
                "config.json: linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be used as default action")
        }
        for (index, rule) in (seccomp.syscalls ?? []).enumerated()
        where rule.action == "SCMP_ACT_NOTIFY" && rule.names.contains("write") {
            throw BerthError(
                .invalidArgument,
                "config.json: linux.seccomp.syscalls[\(index)].action: SCMP_ACT_NOTIFY cannot be used for the write syscall"
            )
        }
        if notifies, listener.isEmpty {
            throw BerthError(
                .invalidArgument, "config.json: linux.seccomp.listenerPath: is missing for SCMP_ACT_NOTIFY")
        }
        if notifies {
            message.listener = listener
            message.listenerMetadata = Array((seccomp.listenerMetadata ?? "").utf8).data
            message.listenerDocument = listenerDocument(metadata: seccomp.listenerMetadata ?? "")
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
