internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// `linux.intelRdt`: a group of the resctrl filesystem (Documentation/filesystems/resctrl.rst of the kernel).
struct Resctrl {
    private let settings: RuntimeSpec.Linux.IntelRdt
    private let mountpoint: FilePath
    private let id: String

    /// - Returns: `nil` where the configuration has no such field.
    init?(_ linux: RuntimeSpec.Linux?, id: String, mountpoint: FilePath?) throws {
        guard let settings = linux?.intelRdt else { return nil }
        guard let mountpoint else {
            throw BerthError(
                .failedPrecondition,
                "config.json: linux.intelRdt: this host has no resctrl filesystem mounted (no Intel RDT, or it is off)")
        }
        if let group = settings.closID, group.isEmpty || group.contains("/") || group == "." || group == ".." {
            throw BerthError.invalid(
                field: "config.json: linux.intelRdt.closID", value: group.prefix(64), rule: "is no name of a group")
        }
        self.settings = settings
        self.mountpoint = mountpoint
        self.id = id
    }

    private var directory: FilePath { mountpoint.appending(settings.closID ?? id) }
    private var schemata: [String] {
        (settings.schemata ?? [])
            + [settings.l3CacheSchema, settings.memBwSchema].compactMap { $0 }.filter { !$0.isEmpty }
    }

    /// A group that is named and has no schemata is another's, and must be there.
    private var makes: Bool { settings.closID == nil || !schemata.isEmpty }

    func prepare(_ steps: inout PlanBuilder) throws {
        if makes {
            steps.host(
                "make the resctrl group \(directory)",
                .makeDirectory(
                    .with {
                        $0.path = directory.string
                        $0.mode = 0o755
                    }))
        } else if !Files.exists(directory) {
            throw BerthError(
                .failedPrecondition,
                "config.json: linux.intelRdt.closID: \(directory) is not there, and there are no schemata to make it with"
            )
        }
        for schema in schemata {
            steps.host(
                "set the schema \(schema)",
                .writeFile(
                    .with {
                        $0.path = directory.appending("schemata").string
                        $0.value = Array((schema + "\n").utf8).data
                    }))
        }
    }

    func join(_ steps: inout PlanBuilder) {
        steps.host("join the resctrl group \(directory)", .joinResctrl(.with { $0.directory = directory.string }))
        guard settings.enableMonitoring == true || settings.enableCMT == true || settings.enableMBM == true else {
            return
        }
        let monitoring = directory.appending("mon_groups").appending(id)
        steps.host(
            "make the monitoring group \(monitoring)",
            .makeDirectory(
                .with {
                    $0.path = monitoring.string
                    $0.mode = 0o755
                }))
        steps.host("join the monitoring group \(monitoring)", .joinResctrl(.with { $0.directory = monitoring.string }))
    }

    /// Takes away what was made for the container alone.
    func remove() {
        try? Syscall.unlinkat(directory.appending("mon_groups").appending(id), removeDirectory: true)
        if settings.closID == nil { try? Syscall.unlinkat(directory, removeDirectory: true) }
    }

    /// The schemata of the group and of the whole host, as they are now.
    func allocation() -> CacheAllocation {
        func lines(_ directory: FilePath) -> [String] {
            ((try? Files.readText(directory.appending("schemata"))) ?? "").split(separator: "\n").map {
                String($0.drop { $0 == " " })
            }
        }
        let (own, host) = (lines(directory), lines(mountpoint))
        func schema(_ lines: [String], _ prefix: String) -> String? { lines.first { $0.hasPrefix(prefix) } }
        return CacheAllocation(
            l3CacheSchemaRoot: schema(host, "L3"), l3CacheSchema: schema(own, "L3"),
            memBwSchemaRoot: schema(host, "MB:"), memBwSchema: schema(own, "MB:"), schemata: own)
    }

    func update(_ schemata: [String]) throws {
        for schema in schemata {
            do throws(Errno) {
                try Files.writeKernelFile(directory.appending("schemata"), schema + "\n")
            } catch {
                throw BerthError(.failedPrecondition, "write \"\(schema)\" to \(directory)/schemata", cause: error)
            }
        }
    }
}

/// What a container has of the caches and the memory bandwidth, in the shape of runc's `intel_rdt`.
public struct CacheAllocation: Encodable, Sendable {
    public let l3CacheSchemaRoot: String?
    public let l3CacheSchema: String?
    public let memBwSchemaRoot: String?
    public let memBwSchema: String?
    public let schemata: [String]

    enum CodingKeys: String, CodingKey {
        case schemata
        case l3CacheSchemaRoot = "l3_cache_schema_root"
        case l3CacheSchema = "l3_cache_schema"
        case memBwSchemaRoot = "mem_bw_schema_root"
        case memBwSchema = "mem_bw_schema"
    }
}

extension ContainerRuntime {
    /// - Returns: `nil` for a container without `linux.intelRdt`, and where resctrl is not mounted any more.
    public static func cacheAllocation(of container: KnownContainer) throws -> CacheAllocation? {
        let linux = try container.specification().linux
        guard linux?.intelRdt != nil, let mountpoint = HostFacts.resctrlMountpoint() else { return nil }
        return try Resctrl(linux, id: container.id, mountpoint: mountpoint)?.allocation()
    }

    /// New schemata for a container with `linux.intelRdt`.
    public func updateResctrl(_ container: KnownContainer, schemata: [String]) throws {
        let spec = try container.specification()
        guard let group = try Resctrl(spec.linux, id: container.id, mountpoint: HostFacts.resctrlMountpoint()) else {
            throw BerthError(
                .failedPrecondition,
                "--l3-cache-schema, --mem-bw-schema: container \(container.id) has no linux.intelRdt")
        }
        try group.update(schemata)
    }
}
