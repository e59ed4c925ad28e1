public import LaunchAPI
internal import LinuxKernel
internal import OCISpec

/// A plan as text: one line a step, with every value that the launcher gets. What `berth-oci plan` shows and the golden
/// plans hold.
public enum PlanPrinter {
    public static func text(_ plan: Berth_Launch_V1_Plan) -> String {
        var lines = ["plan \(plan.id) version \(plan.version)"]
        if plan.hasMonitor {
            lines.append("monitor" + fields(plan.monitor))
        }
        if plan.hasStdio { lines.append("stdio" + fields(plan.stdio)) }
        let width = "\(plan.steps.count)".count
        for (index, step) in plan.steps.enumerated() {
            let number = "\(index + 1)"
            let padding = String(repeating: " ", count: width - number.count)
            let place = step.place == .child ? "child" : "host "
            var line = "\(padding)\(number) \(place) \(step.words)"
            if step.optional { line += " (optional)" }
            lines.append(line)
            if let detail = detail(step) { lines.append(String(repeating: " ", count: width + 7) + detail) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func fields(_ monitor: Berth_Launch_V1_Monitor) -> String {
        pairs([
            ("socket", monitor.socket), ("exit", monitor.exitPath), ("oom", monitor.oomPath),
            ("cgroup", monitor.cgroup),
        ])
    }

    private static func fields(_ stdio: Berth_Launch_V1_Stdio) -> String {
        pairs([
            ("terminal", stdio.terminal ? "yes" : ""), ("stdin", stdio.stdin ? "yes" : ""),
            ("stdin-once", stdio.stdinOnce ? "yes" : ""), ("log", stdio.logPath),
            ("max-line", stdio.maxLine == 0 ? "" : "\(stdio.maxLine)"),
        ])
    }

    private static func pairs(_ list: [(String, String)]) -> String {
        list.filter { !$0.1.isEmpty }.map { " \($0.0)=\($0.1)" }.joined()
    }

    private static func call(_ name: String, _ list: [(String, String)]) -> String {
        name + pairs(list)
    }

    private static func octal(_ mode: UInt32) -> String { "0" + String(mode, radix: 8) }

    private static func text(_ bytes: PlanBytes) -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        return "\"" + text.replacing("\n", with: "\\n") + "\""
    }

    private static func maps(_ list: [Berth_Launch_V1_IDMap]) -> String {
        list.map { "\($0.container):\($0.host):\($0.size)" }.joined(separator: ",")
    }

    private static func detail(_ step: Berth_Launch_V1_Step) -> String? {
        switch step.action {
        case .makeDirectory(let a): call("mkdir -p", [("path", a.path), ("mode", octal(a.mode))])
        case .writeFile(let a):
            call(
                "write",
                [("path", a.path), ("value", text(a.value))]
                    + a.alternatives.flatMap { [("or", $0.path), ("value", text($0.value))] }
                    + (a.ifPresent ? [("ifPresent", "true")] : []))
        case .joinNamespace(let a):
            call(
                "setns",
                [
                    ("type", NamespaceTypes(rawValue: a.type).cloneNames), ("path", a.path),
                    ("pid", a.targetPid == 0 ? "" : "\(a.targetPid)"),
                ])
        case .clone(let a):
            call(
                "clone3",
                [
                    ("flags", NamespaceTypes(rawValue: UInt32(truncatingIfNeeded: a.flags)).cloneNames),
                    ("into-cgroup", a.cgroup), ("sibling", a.sibling ? "yes" : ""),
                    ("dumpable", a.dumpable ? "yes" : ""),
                    ("joins", a.joins.map(\.path).filter { !$0.isEmpty }.joined(separator: ",")),
                ])
        case .unshare(let a):
            call("unshare", [("flags", NamespaceTypes(rawValue: UInt32(truncatingIfNeeded: a.flags)).cloneNames)])
        case .mapIds(let a):
            call(
                "write uid_map gid_map",
                [
                    ("uids", maps(a.uids)), ("gids", maps(a.gids)), ("deny-setgroups", a.denySetgroups ? "yes" : ""),
                    ("helpers", a.uidHelper.isEmpty ? "" : "\(a.uidHelper),\(a.gidHelper)"),
                ])
        case .joinCgroup(let a): call("write cgroup.procs", [("directory", a.directory)])
        case .pinNamespace(let a):
            call("mount --bind", [("type", NamespaceTypes(rawValue: a.type).cloneNames), ("path", a.path)])
        case .openRoot(let a):
            call(
                "open_tree",
                [
                    ("path", a.path), ("propagation", MountFlags(rawValue: a.propagation).names),
                    ("readonly", a.readonly ? "yes" : ""), ("plain", a.plain ? "yes" : ""), ("base", a.baseMounts),
                    ("type", a.filesystem.type), ("data", a.filesystem.data),
                ])
        case .mount(let a):
            call(
                "mount",
                [
                    ("type", a.type), ("source", a.source), ("target", a.target),
                    ("flags", MountFlags(rawValue: a.flags).names), ("data", a.data),
                    ("copy-up", a.copyUp ? "yes" : ""), ("on-host", a.onHost ? "yes" : ""),
                    ("inherit-mode", a.inheritMode ? "yes" : ""),
                ])
        case .bindMount(let a):
            call(
                "open_tree move_mount",
                [
                    ("source", a.source), ("target", a.target), ("recursive", a.recursive ? "yes" : ""),
                    ("set", MountAttributes(rawValue: a.setAttributes).names),
                    ("clear", MountAttributes(rawValue: a.clearAttributes_p).names),
                    ("recursive-attributes", a.attributesRecursive ? "yes" : ""),
                    ("propagation", MountFlags(rawValue: a.propagation).names), ("uids", maps(a.uids)),
                    ("gids", maps(a.gids)), ("ids", a.mappedAsChild ? "as-child" : ""),
                    ("recursive-ids", a.recursiveMappings ? "yes" : ""),
                    ("opener", a.opener == .byHost ? "host" : a.opener == .byHostInChild ? "host-in-child" : ""),
                    ("make-target", a.makeTarget ? "yes" : ""),
                    ("locked", MountAttributes(rawValue: a.lockedAttributes).names),
                    ("locked-access-time", a.lockedAccessTime ? "yes" : ""),
                ])
        case .setMountAttributes(let a):
            call(
                "mount_setattr",
                [
                    ("target", a.target), ("set", MountAttributes(rawValue: a.setAttributes).names),
                    ("clear", MountAttributes(rawValue: a.clearAttributes_p).names),
                    ("recursive", a.recursive ? "yes" : ""),
                ])
        case .setPropagation(let a):
            call("mount_setattr", [("target", a.target), ("propagation", MountFlags(rawValue: a.propagation).names)])
        case .createMountpoint(let a):
            call(
                a.kind == .file ? "touch" : a.kind == .asSource ? "mkdir or touch" : "mkdir",
                [("path", a.target), ("as", a.source)])
        case .makeNode(let a):
            call(
                a.bind ? "bind node" : "mknod",
                [
                    ("path", a.path), ("mode", octal(a.mode)), ("device", "\(a.major):\(a.minor)"),
                    ("owner", a.uid == 0 && a.gid == 0 ? "" : "\(a.uid):\(a.gid)"),
                ])
        case .makeSymlink(let a): call("symlink", [("target", a.target), ("path", a.path)])
        case .maskPath, .readonlyPath, .newSession, .bringUpLoopback, .setNoNewPrivileges, .bindConsole, .setHostname,
            .setDomainname, .setPersonality, .newKeyring, .setOomScore:
            nil
        default: processDetail(step)
        }
    }

    private static func processDetail(_ step: Berth_Launch_V1_Step) -> String? {
        switch step.action {
        case .pivotRoot(let a):
            call(
                a.chrootOnly ? "chroot" : a.noPivot ? "mount --move chroot" : "pivot_root",
                [("propagation", MountFlags(rawValue: a.propagation).names), ("readonly", a.readonly ? "yes" : "")])
        case .sysctl(let a): call("write", [("path", "/proc/sys/\(a.name)"), ("value", "\"\(a.value)\"")])
        case .setRlimit(let a):
            call("prlimit", [("resource", "\(a.resource)"), ("soft", "\(a.soft)"), ("hard", "\(a.hard)")])
        case .setCapabilities(let a):
            call(
                "capset",
                [
                    ("bounding", names(a.bounding)), ("permitted", names(a.permitted)),
                    ("effective", names(a.effective)),
                    ("inheritable", names(a.inheritable)), ("ambient", names(a.ambient)),
                ])
        case .setUser(let a):
            call(
                "setresuid",
                [
                    ("uid", "\(a.uid)"), ("gid", "\(a.gid)"),
                    ("groups", a.additionalGids.map { "\($0)" }.joined(separator: ",")),
                ])
        case .installSeccomp(let a):
            call(
                "seccomp",
                [
                    ("instructions", "\(a.program.count / 8)"), ("flags", a.flags == 0 ? "" : "\(a.flags)"),
                    ("listener", a.listener),
                ])
        case .setupTerminal(let a):
            call(
                "open ptmx",
                [
                    ("size", a.width == 0 ? "" : "\(a.width)x\(a.height)"), ("console-socket", a.consoleSocket),
                    ("line-ends", a.plainLineEnds ? "plain" : ""),
                ])
        case .changeDirectory(let a): call("chdir", [("path", a.path)])
        case .setUmask(let a): call("umask", [("mask", octal(a.mask))])
        case .runHook(let a):
            call(
                "exec",
                [
                    ("path", a.path), ("args", quoted(a.args)), ("env", quoted(a.env)),
                    ("timeout", a.timeout == 0 ? "" : "\(a.timeout)"),
                    ("inherit-env", a.inheritEnvironment ? "yes" : ""),
                ])
        case .waitForStart(let a): call("open", [("fifo", a.fifo.isEmpty ? "(the monitor's start)" : a.fifo)])
        case .closeDescriptors(let a): call("close_range", [("first", "\(a.first)")])
        case .exec(let a): call("execve", [("path", a.path), ("args", quoted(a.args)), ("env", quoted(a.env))])
        case .hold(let a): call("hold", [("exit", a.exit ? "yes" : "")])
        case .setSecurityLabel(let a):
            call("write", [("path", "/proc/thread-self/attr/\(a.file)"), ("value", a.label)])
        case .setScheduler(let a):
            call(
                "sched_setattr",
                [
                    ("policy", "\(a.policy)"), ("nice", "\(a.nice)"), ("priority", "\(a.priority)"),
                    ("flags", "\(a.flags)"),
                ])
        case .setCpuAffinity(let a): call("sched_setaffinity", [("mask", a.mask.isEmpty ? "all" : hex(a.mask))])
        case .setMemoryPolicy(let a):
            call("set_mempolicy", [("mode", "\(a.mode)"), ("nodes", a.nodes.isEmpty ? "none" : hex(a.nodes))])
        case .setTimeOffsets(let a):
            call("write timens_offsets", a.offsets.map { ($0.clock, "\($0.seconds).\($0.nanoseconds)") })
        case .moveLinks(let a):
            call("netlink", a.names.sorted { $0.key < $1.key }.map { ($0.key, $0.value.isEmpty ? $0.key : $0.value) })
        case .limitDevices(let a):
            call("bpf", [("directory", a.directory), ("instructions", "\(a.instructions.count / 8)")])
        case .delegateCgroup(let a):
            call("chown", [("directory", a.directory), ("uid", "\(a.uid)"), ("files", quoted(a.files))])
        case .joinResctrl(let a): call("write tasks", [("directory", a.directory)])
        case .setIoPriority(let a): call("ioprio_set", [("class", "\(a.class)"), ("priority", "\(a.priority)")])
        default: nil
        }
    }

    /// The highest number first, as the kernel prints masks.
    private static func hex(_ mask: PlanBytes) -> String {
        let digits = mask.reversed().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return "0x" + digits
    }

    private static func quoted(_ list: [String]) -> String {
        list.isEmpty ? "" : "[" + list.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
    }

    private static func names(_ capabilities: UInt64) -> String {
        if capabilities == 0 { return "none" }
        return Capability.allCases.filter { capabilities & $0.bit != 0 }.map { String($0.name.dropFirst(4)) }
            .joined(separator: ",")
    }
}

extension NamespaceTypes {
    fileprivate var cloneNames: String {
        let names: [(NamespaceTypes, String)] = [
            (.user, "NEWUSER"), (.pid, "NEWPID"), (.network, "NEWNET"), (.ipc, "NEWIPC"), (.uts, "NEWUTS"),
            (.cgroup, "NEWCGROUP"), (.time, "NEWTIME"), (.mount, "NEWNS"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: "|")
    }
}

extension MountFlags {
    fileprivate var names: String {
        let names: [(MountFlags, String)] = [
            (.readOnly, "RDONLY"), (.noSUID, "NOSUID"), (.noDevices, "NODEV"), (.noExec, "NOEXEC"),
            (.synchronous, "SYNCHRONOUS"), (.remount, "REMOUNT"), (.mandatoryLocks, "MANDLOCK"),
            (.directorySync, "DIRSYNC"), (.noSymlinkFollow, "NOSYMFOLLOW"), (.noAccessTime, "NOATIME"),
            (.noDirectoryAccessTime, "NODIRATIME"), (.bind, "BIND"), (.recursive, "REC"), (.silent, "SILENT"),
            (.posixACL, "POSIXACL"), (.unbindable, "UNBINDABLE"), (.private, "PRIVATE"), (.slave, "SLAVE"),
            (.shared, "SHARED"), (.relativeAccessTime, "RELATIME"), (.inodeVersion, "I_VERSION"),
            (.strictAccessTime, "STRICTATIME"), (.lazyTime, "LAZYTIME"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: "|")
    }
}

extension MountAttributes {
    fileprivate var names: String {
        let names: [(MountAttributes, String)] = [
            (.readOnly, "RDONLY"), (.noSUID, "NOSUID"), (.noDevices, "NODEV"), (.noExec, "NOEXEC"),
            (.noDirectoryAccessTime, "NODIRATIME"), (.noSymlinkFollow, "NOSYMFOLLOW"), (.accessTimeField, "ATIME"),
            (.noAccessTime, "NOATIME"), (.strictAccessTime, "STRICTATIME"),
        ]
        var rest = self
        var found: [String] = []
        for (attribute, name) in names where !rest.isDisjoint(with: attribute) && rest.isSuperset(of: attribute) {
            found.append(name)
            rest.subtract(attribute)
        }
        return found.joined(separator: "|")
    }
}
