internal import Core
public import LinuxKernel
public import OCISpec
internal import SystemPackage

/// The cgroup of a container: where it is, what it may use, what it uses.
public struct ContainerCgroup: Sendable {
    public let host: CgroupHost
    public let path: String
    public let cgroup: Cgroup

    /// - Parameter path: `linux.cgroupsPath`; empty or `nil`: `id`, below the cgroup of this process.
    public init(host: CgroupHost, path: String?, id: String) throws {
        let given = path ?? ""
        if given.split(separator: ":", omittingEmptySubsequences: false).count == 3, !given.contains("/") {
            throw BerthError(
                .unimplemented,
                "config.json: linux.cgroupsPath: \"\(given.prefix(128))\" is for the systemd driver, which is not there yet",
                advice: "give a path such as /parent/name")
        }
        self.host = host
        self.path = given.isEmpty ? id : given
        cgroup = Cgroup(host: host, path: self.path)
    }

    /// Which directories must be made, and what a new v1 cpuset is filled with.
    public func survey() -> CgroupSurvey {
        var missing: [FilePath: [FilePath]] = [:]
        var cpuset: (String, String)?
        for directory in cgroup.directories {
            let hierarchy = directory.hierarchy
            var paths: [FilePath] = []
            var current = directory.path
            while current != hierarchy.mountpoint, !current.isEmpty, !Files.exists(current) {
                paths.append(current)
                current.removeLastComponent()
            }
            missing[hierarchy.mountpoint] = paths.reversed()
            if !hierarchy.isUnified, hierarchy.controllers.contains("cpuset"),
                let cpus = try? Files.readText(current.appending("cpuset.cpus")),
                let mems = try? Files.readText(current.appending("cpuset.mems"))
            {
                cpuset = (cpus, mems)
            }
        }
        return CgroupSurvey(missing: missing, cpuset: cpuset)
    }

    public func statistics() throws -> CgroupStatistics {
        do { return try cgroup.statistics() } catch { throw failure("read the statistics of", error) }
    }

    /// Changes limits of a container that runs.
    public func update(_ resources: RuntimeSpec.Linux.Resources) throws {
        let writes = try ResourceWrites.compile(resources, on: host)
        do {
            try cgroup.apply(orderedForUpdate(writes))
        } catch let error as CgroupFailure {
            throw BerthError(
                error.error == .notPermitted || error.error == .permissionDenied
                    ? .permissionDenied : .failedPrecondition,
                "update cgroup \(path)", cause: error)
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

    /// Removes it with its descendants; their processes must be dying already. - SeeAlso: `kill()`
    public func delete() throws {
        do { try cgroup.delete() } catch { throw failure("delete", error) }
    }

    private func failure(_ what: String, _ error: Errno) -> BerthError {
        BerthError(error == .noSuchFileOrDirectory ? .notFound : .internal, "\(what) cgroup \(path)", cause: error)
    }
}
