public import LinuxKernel
internal import OCISpec

extension NamespaceTypes {
    /// Of one type, by its name in the runtime specification.
    init?(specName: String) {
        guard let found = Self.bySpecName.first(where: { $0.0 == specName }) else { return nil }
        self = found.1
    }

    static let bySpecName: [(String, NamespaceTypes)] = [
        ("user", .user), ("pid", .pid), ("network", .network), ("ipc", .ipc), ("uts", .uts), ("cgroup", .cgroup),
        ("time", .time), ("mount", .mount),
    ]

    var name: String { names }

    var names: String {
        Self.bySpecName.filter { contains($0.1) }.map(\.0).joined(separator: ", ")
    }

    /// The file in /proc/PID/ns.
    public var procName: String {
        switch self {
        case .network: "net"
        case .mount: "mnt"
        default: name
        }
    }
}

/// Which namespaces are made, which are joined, and by whom.
struct NamespacePlan {
    private(set) var new: NamespaceTypes = []
    private var joined: [(NamespaceTypes, String)] = []

    init(_ namespaces: [RuntimeSpec.Linux.Namespace]) {
        for namespace in namespaces {
            guard let type = NamespaceTypes(specName: namespace.type) else { continue }
            if let path = namespace.path, !path.isEmpty {
                joined.append((type, path))
            } else {
                new.insert(type)
            }
        }
    }

    func isNewOrJoined(_ type: NamespaceTypes) -> Bool {
        new.contains(type) || joined.contains { $0.0 == type }
    }

    /// The namespace file of a type that is joined.
    func path(_ type: NamespaceTypes) -> String? { joined.first { $0.0 == type }?.1 }

    func isJoined(_ type: NamespaceTypes) -> Bool { joined.contains { $0.0 == type } }

    var joinsAny: Bool { !joined.isEmpty }

    /// A user namespace that exists; what the container makes must belong to it.
    var joinsUser: Bool { isJoined(.user) }

    /// Membership in these is of children: the caller of clone joins them.
    var joinedByHost: [(NamespaceTypes, String)] { joinsUser ? [] : inOrder([.pid, .time]) }

    /// A PID namespace that the clone makes must belong to the user namespace that is joined, so the process that clones
    /// is in it. Root has the rights to all others and joins it when it has them, since some may not belong to it; for
    /// anybody else it gives the rights to the others.
    func joinedByCloner(asRoot: Bool) -> [(NamespaceTypes, String)] {
        guard joinsUser else { return [] }
        let others: [NamespaceTypes] = [.network, .ipc, .uts, .cgroup, .pid, .time]
        return inOrder(asRoot ? others + [.user] : [.user] + others)
    }

    /// The mount namespace last, since paths lead elsewhere in it.
    var joinedByChild: [(NamespaceTypes, String)] {
        inOrder(joinsUser ? [.mount] : [.network, .ipc, .uts, .cgroup, .mount])
    }

    private func inOrder(_ types: [NamespaceTypes]) -> [(NamespaceTypes, String)] {
        types.compactMap { type in joined.first { $0.0 == type } }
    }
}
