internal import Core
public import LinuxKernel
public import OCISpec
public import SystemPackage

/// What ROOT/ID/state.json holds: what the verbs after `create` must know. Its configuration is beside it.
public struct StoredContainer: Sendable {
    /// Of this document.
    public static let currentVersion = 1

    public var version = Self.currentVersion
    public var id: String
    public var pid: Int32
    /// Clock ticks since boot: a process that has the PID and not this start time is another one.
    public var startTime: UInt64
    public var bundle: String
    public var rootfs: String
    /// RFC 3339.
    public var created: String
    public var owner: UInt32
    public var cgroupPath: String
    /// The systemd driver's unit of it.
    public var unit: ManagedUnit?
    /// The hierarchies of a `cgroupPath` that is relative, by their mount points, with the cgroup to which it is. A user
    /// has often not all. Absent where it is absolute, and in all of them.
    public var hierarchies: [String: String]?
    public var annotations: [String: String]?

    /// The names that monitoring agents read are runc's.
    var json: JSONValue {
        .object(
            of: [
                ("version", .number(version)), ("id", .string(id)), ("init_process_pid", .number(pid)),
                ("init_process_start", .number(startTime)), ("bundle", .string(bundle)), ("rootfs", .string(rootfs)),
                ("created", .string(created)), ("owner", .number(owner)), ("cgroup_path", .string(cgroupPath)),
                ("systemd_unit", unit?.json), ("cgroup_hierarchies", hierarchies.map(JSONValue.strings)),
                ("annotations", annotations.map(JSONValue.strings)),
            ])
    }
}

extension StoredContainer: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        version = try object.required("version")
        id = try object.required("id")
        pid = try object.required("init_process_pid")
        startTime = try object.required("init_process_start")
        bundle = try object.required("bundle")
        rootfs = try object.required("rootfs")
        created = try object.required("created")
        owner = try object.required("owner")
        cgroupPath = try object.required("cgroup_path")
        unit = try object.optional("systemd_unit")
        hierarchies = try object.optional("cgroup_hierarchies")
        annotations = try object.optional("annotations")
    }
}

/// A container of the state directory.
public struct KnownContainer: Sendable {
    public let directory: FilePath
    public let stored: StoredContainer
    public let cgroup: ContainerCgroup
    /// Where the one who made it still has it.
    var knownSpecification: RuntimeSpec?

    init(directory: FilePath, stored: StoredContainer, cgroup: ContainerCgroup, specification: RuntimeSpec? = nil) {
        self.directory = directory
        self.stored = stored
        self.cgroup = cgroup
        knownSpecification = specification
    }

    public var id: String { stored.id }
    public var fifo: FilePath { directory.appending("exec.fifo") }

    /// Found out anew with each call.
    ///
    ///     created --start--> running <--pause/resume--> paused
    ///        \                  \                         /
    ///         +-- its process ends: stopped --delete--> (gone)
    public func status() -> ContainerState.Status {
        guard ProcessStatus.isAlive(stored.pid, startTime: stored.startTime) else { return .stopped }
        if Files.exists(fifo) { return .created }
        return cgroup.isFrozen ? .paused : .running
    }

    public func state() -> ContainerState {
        let status = status()
        return ContainerState(
            id: stored.id, status: status, pid: status == .stopped ? 0 : stored.pid, bundle: stored.bundle,
            annotations: stored.annotations)
    }

    public func specification() throws -> RuntimeSpec {
        try knownSpecification ?? ContainerRuntime.readSpecification(directory.appending("config.json"))
    }

    /// Whether its processes have a PID namespace of their own, which ends with the first of them.
    var ownsPIDs: Bool {
        guard let spec = try? specification(), let namespace = spec.namespace("pid") else { return false }
        return (namespace.path ?? "").isEmpty
    }

    /// A descriptor of the first process, if it is the one that was created and still lives.
    public func initProcess() throws -> OwnedDescriptor? {
        do {
            let pidfd = try Syscall.pidfdOpen(stored.pid)
            // After the open the PID cannot be recycled unnoticed.
            return ProcessStatus.isAlive(stored.pid, startTime: stored.startTime) ? pidfd : nil
        } catch Errno.noSuchProcess {
            return nil
        }
    }
}
