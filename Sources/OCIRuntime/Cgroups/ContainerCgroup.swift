internal import Core
public import LinuxKernel
public import OCISpec
internal import SystemPackage

/// The cgroup of a container: where it is, what it may use, what it uses.
public struct ContainerCgroup: Sendable {
    public let host: CgroupHost
    public let path: String
    public let cgroup: Cgroup
    /// systemd's unit; `nil` where the files are written by this program alone.
    public let unit: ManagedUnit?

    /// - Parameters:
    ///   - path: `linux.cgroupsPath`; empty or `nil`: `id`, below the cgroup of this process, or in the default slice.
    ///   - driver: who makes it, and how the path is meant.
    public init(host: CgroupHost, path: String?, id: String, driver: CgroupDriver = .cgroupfs) throws {
        let given = path ?? ""
        switch driver {
        case .cgroupfs:
            self.init(host: host, path: given.isEmpty ? id : given, unit: nil)
        case .systemd(let isUser, let root):
            let unit = try SystemdUnit(cgroupsPath: given, id: id, isUser: isUser)
            self.init(host: host, path: try unit.cgroup(below: root), unit: ManagedUnit(unit: unit, isUser: isUser))
        }
    }

    /// One that is known already.
    public init(host: CgroupHost, path: String, unit: ManagedUnit?) {
        self.host = host
        self.path = path
        self.unit = unit
        cgroup = Cgroup(host: host, path: path)
    }

    /// Which directories must be made, and what a new v1 cpuset is filled with.
    public func survey() -> CgroupSurvey {
        var missing: [(mountpoint: FilePath, paths: [FilePath])] = []
        var cpuset: (cpus: String, mems: String)?
        for directory in cgroup.directories {
            let hierarchy = directory.hierarchy
            var (paths, current) = Self.missing(directory.path, below: hierarchy.mountpoint)
            if !hierarchy.isUnified, hierarchy.controllers.contains("cpuset") {
                cpuset = Self.cpuset(current)
                // One that somebody made and left empty takes no process either.
                while cpuset?.cpus == "" || cpuset?.mems == "", current != hierarchy.mountpoint {
                    paths.insert(current, at: 0)
                    current.removeLastComponent()
                    cpuset = Self.cpuset(current)
                }
            }
            missing.append((hierarchy.mountpoint, paths))
        }
        return CgroupSurvey(missing: missing, cpuset: cpuset, handsDown: unit == nil)
    }

    private static func cpuset(_ path: FilePath) -> (cpus: String, mems: String)? {
        guard let cpus = try? Files.readText(path.appending("cpuset.cpus")),
            let mems = try? Files.readText(path.appending("cpuset.mems"))
        else { return nil }
        return (cpus, mems)
    }

    /// Those of `path` and its parents below `root` that do not exist, outermost first, and the nearest one that does.
    private static func missing(_ path: FilePath, below root: FilePath) -> (paths: [FilePath], existing: FilePath) {
        // As text: to take a path apart costs more than all else of a start.
        var paths: [FilePath] = []
        var current = path.string
        while current.utf8.count > root.string.utf8.count, !Files.exists(FilePath(current)),
            let slash = current.utf8.lastIndex(of: UInt8(ascii: "/"))
        {
            paths.append(FilePath(current))
            current = String(current[..<slash])
        }
        return (paths.reversed(), FilePath(current))
    }

    /// Of a container without cgroups, as an ordinary user's may be, all is zero.
    public func statistics() throws -> CgroupStatistics {
        guard !cgroup.directories.isEmpty else { return CgroupStatistics() }
        do { return try cgroup.statistics() } catch { throw failure("read the statistics of", error) }
    }

    /// Changes limits of a container that runs.
    public func update(_ resources: RuntimeSpec.Linux.Resources) throws {
        let resources = unit == nil ? completed(resources) : completed(resources).countedAsSystemdDoes
        try checkUsage(resources)
        let writes = try ResourceWrites.compile(resources, on: host)
        try unit?.change(resources, on: host)
        do {
            // v1 refuses a period that does not fit the quota of before, and a memory limit above that of memory and swap:
            // such a value is written again when the others are there.
            var refused: [CgroupWrite] = []
            for write in orderedForUpdate(writes) {
                do {
                    try cgroup.apply([write])
                } catch let error as CgroupFailure where error.error == .invalidArgument && writes.count > 1 {
                    refused.append(write)
                }
            }
            try cgroup.apply(refused)
        } catch let error as CgroupFailure {
            throw BerthError(
                error.error == .notPermitted || error.error == .permissionDenied
                    ? .permissionDenied : .failedPrecondition,
                "update cgroup \(path)", cause: error)
        }
    }

    /// With what a change means together with the limits that stay: a period keeps the quota, and a quota the period; a
    /// limit of memory and swap together is one of swap, which depends on that of memory, on v2.
    private func completed(_ resources: RuntimeSpec.Linux.Resources) -> RuntimeSpec.Linux.Resources {
        var resources = resources
        let quota = resources.cpu?.quota ?? 0
        let period = resources.cpu?.period ?? 0
        if (quota == 0) != (period == 0), let now = bandwidth() {
            if quota == 0 { resources.cpu?.quota = now.quota }
            if period == 0 { resources.cpu?.period = now.period }
        }
        if (resources.memory?.swap ?? 0) > 0, (resources.memory?.limit ?? 0) == 0, cgroup.isUnified("memory"),
            let text = try? cgroup.read("memory", "memory.max")
        {
            resources.memory?.limit = Int64(text) ?? -1
        }
        return resources
    }

    /// Quota (-1 for none) and period as they are.
    private func bandwidth() -> (quota: Int64, period: UInt64)? {
        if cgroup.isUnified("cpu") {
            let fields = ((try? cgroup.read("cpu", "cpu.max")) ?? "").split(separator: " ")
            guard fields.count == 2, let period = UInt64(fields[1]) else { return nil }
            return (Int64(fields[0]) ?? -1, period)
        }
        // The files of v1 are set one by one; systemd has one property of both.
        guard unit != nil, let quota = (try? cgroup.read("cpu", "cpu.cfs_quota_us")).flatMap({ Int64($0) }),
            let period = (try? cgroup.read("cpu", "cpu.cfs_period_us")).flatMap({ UInt64($0) })
        else { return nil }
        return (quota, period)
    }

    /// `memory.checkBeforeUpdate`: a limit below what is used would let the kernel kill for it.
    private func checkUsage(_ resources: RuntimeSpec.Linux.Resources) throws {
        guard let memory = resources.memory, memory.checkBeforeUpdate == true else { return }
        let file = cgroup.isUnified("memory") ? "memory.current" : "memory.usage_in_bytes"
        guard let used = (try? cgroup.read("memory", file)).flatMap({ Int64($0) }) else { return }
        for (field, name, limit) in [("swap", "memory+swap", memory.swap ?? 0), ("limit", "memory", memory.limit ?? 0)]
        where limit > 0 && limit <= used {
            throw BerthError(
                .failedPrecondition,
                "linux.resources.memory.\(field): rejecting \(name) limit \(limit) <= usage \(used) (checkBeforeUpdate)"
            )
        }
    }

    /// v1 refuses a memory limit above the one of memory and swap, and the other way round: growing starts with the
    /// outer one.
    private func orderedForUpdate(_ writes: [CgroupWrite]) -> [CgroupWrite] {
        guard let limit = writes.firstIndex(where: { $0.file == "memory.limit_in_bytes" }),
            let both = writes.firstIndex(where: { $0.file == "memory.memsw.limit_in_bytes" }),
            let wanted = Int64(writes[limit].value),
            let current = (try? cgroup.read("memory", "memory.memsw.limit_in_bytes")).flatMap({ Int64($0) })
        else { return writes }
        var ordered = writes
        if wanted < 0 || wanted > current { ordered.swapAt(limit, both) }
        return ordered
    }

    public func pids() throws -> [Int32] {
        do { return try cgroup.pids(recursive: true) } catch { throw failure("list the processes of", error) }
    }

    public func kill() throws {
        do { try cgroup.kill() } catch { throw failure("kill the processes of", error) }
    }

    public func freeze() throws {
        do { try cgroup.freeze() } catch { throw failure("freeze", error) }
    }

    public func thaw() throws {
        do { try cgroup.thaw() } catch { throw failure("thaw", error) }
    }

    public var isFrozen: Bool { cgroup.isFrozen }

    /// The directory whose freezer stops the container as a whole: CRIU uses it.
    var freezer: FilePath? {
        let legacy = cgroup.directories.first { $0.hierarchy.controllers.contains("freezer") }?.path
        return [legacy, cgroup.unifiedDirectory].compactMap { $0 }.first { Files.exists($0) }
    }

    /// Removes it with its descendants; their processes must be dying already. - SeeAlso: `kill()`
    public func delete() throws {
        stopUnit()
        do { try cgroup.delete() } catch { throw failure("delete", error) }
    }

    /// As `delete()`, for one that should be empty: it does not wait for anybody to leave.
    func deleteIfEmpty() throws(Errno) {
        stopUnit()
        try cgroup.delete(patience: 0)
    }

    /// A manager that cannot be reached any more is no reason to keep the directories.
    private func stopUnit() {
        do { try unit?.stop() } catch { ContainerRuntime.warn("\(error)") }
    }

    private func failure(_ what: String, _ error: Errno) -> BerthError {
        BerthError(error == .noSuchFileOrDirectory ? .notFound : .internal, "\(what) cgroup \(path)", cause: error)
    }
}
