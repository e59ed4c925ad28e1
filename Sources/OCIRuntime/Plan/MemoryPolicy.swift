internal import Core
internal import LaunchAPI
internal import OCISpec

/// `linux.memoryPolicy` as set_mempolicy(2) takes it. The words of the refusals are those that engines know from runc.
enum MemoryPolicy {
    /// In the order of their numbers (MPOL_DEFAULT is 0).
    static let modes = [
        "MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED_MANY",
        "MPOL_WEIGHTED_INTERLEAVE",
    ]
    static let flags: [(name: String, bit: UInt32)] = [
        ("MPOL_F_NUMA_BALANCING", 1 << 13), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_STATIC_NODES", 1 << 15),
    ]
    /// MAX_NUMNODES of the largest kernels.
    private static let nodeLimit = 1024

    static func step(_ policy: RuntimeSpec.Linux.MemoryPolicy) throws -> Berth_Launch_V1_SetMemoryPolicy {
        let field = "config.json: linux.memoryPolicy"
        guard let name = policy.mode, let mode = modes.firstIndex(of: name) else {
            throw BerthError(
                .invalidArgument,
                "\(field).mode: invalid memory policy mode \"\((policy.mode ?? "").prefix(64))\": must be one of \(modes.joined(separator: ", "))"
            )
        }
        var value = UInt32(mode)
        for flag in policy.flags ?? [] {
            guard let known = flags.first(where: { $0.name == flag }) else {
                throw BerthError(
                    .invalidArgument, "\(field).flags: invalid memory policy flag \"\(flag.prefix(64))\"")
            }
            value |= known.bit
        }
        guard let nodes = NumberList.mask(policy.nodes ?? "", limit: nodeLimit) ?? (policy.nodes ?? "").emptyMask else {
            throw BerthError(
                .invalidArgument,
                "\(field).nodes: invalid memory policy node list \"\((policy.nodes ?? "").prefix(64))\"")
        }
        let count = nodes.reduce(0) { $0 + $1.nonzeroBitCount }
        if ["MPOL_DEFAULT", "MPOL_LOCAL"].contains(name), count > 0 {
            throw BerthError(.invalidArgument, "\(field).nodes: \(name) mode requires 0 nodes but got \(count)")
        }
        return .with {
            $0.mode = value
            $0.nodes = nodes.data
        }
    }
}

extension String {
    fileprivate var emptyMask: [UInt8]? { isEmpty ? [] : nil }
}
