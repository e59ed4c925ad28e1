internal import Core
internal import Store

/// All that garbage collection looks at, taken in one transaction.
struct GarbageInput: Sendable {
    var images: [ImageRecord] = []
    var contents: [ContentRecord] = []
    var snapshots: [SnapshotRecord] = []
    var leases: [LeaseRecord] = []
    var leaseResources: [LeaseResourceRecord] = []
    /// Keys of snapshots that are the root filesystems of containers, in `containerNamespace`.
    var containerSnapshots: Set<String> = []
    var containerNamespace = ImageService.criNamespace
    /// Nanoseconds since 1970.
    var now: Int64
}

/// What nothing refers to.
struct Garbage: Sendable, Equatable {
    var images: [ImageRecord] = []
    var contents: [ContentRecord] = []
    var snapshots: [SnapshotRecord] = []
    var leases: [LeaseRecord] = []

    var isEmpty: Bool { images.isEmpty && contents.isEmpty && snapshots.isEmpty && leases.isEmpty }
}

/// The mark phase, by containerd's rules.
///
/// Roots are images, leases that have not expired with what they hold, the snapshots of containers, and content and
/// snapshots with the label `containerd.io/gc.root`. References are the target of an image, the parent of a snapshot,
/// and the labels `containerd.io/gc.ref.*` (from the labelled object) and `containerd.io/gc.bref.*` (to it).
/// Nothing ever refers across namespaces.
struct GarbageGraph {
    fileprivate enum Kind: Hashable {
        case image
        case content
        case snapshot
        case container
    }

    fileprivate struct Node: Hashable {
        var kind: Kind
        var namespace: String
        /// Snapshots: `SNAPSHOTTER/KEY`.
        var key: String
        /// Kept without what its labels refer to (lease label `containerd.io/gc.flat`).
        var isFlat = false
    }

    static let rootLabel = "containerd.io/gc.root"
    static let expireLabel = "containerd.io/gc.expire"
    static let flatLabel = "containerd.io/gc.flat"
    static let contentReference = "containerd.io/gc.ref.content"
    static let snapshotReference = "containerd.io/gc.ref.snapshot."
    /// On a snapshot: the container that keeps it.
    static let containerBackReference = "containerd.io/gc.bref.container"
    private static let imageReference = "containerd.io/gc.ref.image"
    private static let backReference = "containerd.io/gc.bref."

    private let input: GarbageInput
    private var images: [Node: ImageRecord] = [:]
    private var contents: [Node: ContentRecord] = [:]
    private var snapshots: [Node: SnapshotRecord] = [:]
    private var backReferences: [Node: [Node]] = [:]

    init(_ input: GarbageInput) {
        self.input = input
        for image in input.images {
            let node = Node(kind: .image, namespace: image.namespace, key: image.name)
            images[node] = image
            addBackReferences(of: node, labels: image.labels)
        }
        for content in input.contents {
            let node = Node(kind: .content, namespace: content.namespace, key: content.digest.description)
            contents[node] = content
            addBackReferences(of: node, labels: content.labels)
        }
        for snapshot in input.snapshots {
            let node = Self.node(of: snapshot)
            snapshots[node] = snapshot
            addBackReferences(of: node, labels: snapshot.labels)
        }
    }

    func garbage() -> Garbage {
        var (pending, expiredLeases) = roots()
        var marked: Set<Node> = []
        while let node = pending.popLast() {
            guard marked.insert(node).inserted else { continue }
            pending += references(from: node)
        }
        func isLive(_ node: Node) -> Bool {
            var flat = node
            flat.isFlat = true
            return marked.contains(node) || marked.contains(flat)
        }
        return Garbage(
            images: images.filter { !isLive($0.key) }.values.sorted {
                ($0.namespace, $0.name) < ($1.namespace, $1.name)
            },
            contents: contents.filter { !isLive($0.key) }.values
                .sorted { ($0.namespace, $0.digest.hex) < ($1.namespace, $1.digest.hex) },
            snapshots: snapshots.filter { !isLive($0.key) }.values.sorted { $0.id > $1.id },
            leases: expiredLeases)
    }

    private func roots() -> (nodes: [Node], expiredLeases: [LeaseRecord]) {
        var nodes: [Node] = []
        var expired: [LeaseRecord] = []
        let resources = Dictionary(grouping: input.leaseResources) { [$0.namespace, $0.lease] }
        for lease in input.leases {
            guard !isExpired(lease.labels) else {
                expired.append(lease)
                continue
            }
            let isFlat = lease.labels[Self.flatLabel] != nil
            for resource in resources[[lease.namespace, lease.id]] ?? [] {
                if resource.type == "content" {
                    nodes.append(Node(kind: .content, namespace: lease.namespace, key: resource.id, isFlat: isFlat))
                } else if resource.type == "images" {
                    nodes.append(Node(kind: .image, namespace: lease.namespace, key: resource.id, isFlat: isFlat))
                } else if let snapshotter = resource.type.dropping(prefix: "snapshots/") {
                    nodes.append(
                        Node(
                            kind: .snapshot, namespace: lease.namespace, key: "\(snapshotter)/\(resource.id)",
                            isFlat: isFlat))
                }
            }
        }
        nodes += images.filter { !isExpired($0.value.labels) }.keys
        nodes += contents.filter { $0.value.labels[Self.rootLabel] != nil }.keys
        nodes +=
            snapshots.filter { node, snapshot in
                snapshot.labels[Self.rootLabel] != nil
                    || snapshot.namespace == input.containerNamespace && input.containerSnapshots.contains(snapshot.key)
            }.keys
        nodes += input.containerSnapshots.map { Node(kind: .container, namespace: input.containerNamespace, key: $0) }
        return (nodes, expired)
    }

    private func references(from node: Node) -> [Node] {
        var found = backReferences[node] ?? []
        var labels: [String: String] = [:]
        switch node.kind {
        case .image:
            guard let image = images[node.whole] else { return found }
            labels = image.labels
            found.append(
                Node(
                    kind: .content, namespace: image.namespace, key: image.targetDigest.description, isFlat: node.isFlat
                ))
        case .content:
            labels = contents[node.whole]?.labels ?? [:]
        case .snapshot:
            guard let snapshot = snapshots[node.whole] else { return found }
            labels = snapshot.labels
            if let parent = snapshot.parent {
                found.append(
                    Node(
                        kind: .snapshot, namespace: snapshot.namespace, key: "\(snapshot.snapshotter)/\(parent)",
                        isFlat: node.isFlat))
            }
        case .container:
            break
        }
        guard !node.isFlat else { return found }
        for (label, value) in labels {
            if Self.isLabel(label, named: Self.contentReference) {
                found.append(Node(kind: .content, namespace: node.namespace, key: value))
            } else if Self.isLabel(label, named: Self.imageReference) {
                found.append(Node(kind: .image, namespace: node.namespace, key: value))
            } else if let snapshotter = Self.snapshotter(in: label, prefix: Self.snapshotReference) {
                found.append(Node(kind: .snapshot, namespace: node.namespace, key: "\(snapshotter)/\(value)"))
            }
        }
        return found
    }

    private mutating func addBackReferences(of node: Node, labels: [String: String]) {
        for (label, value) in labels {
            guard let name = label.dropping(prefix: Self.backReference) else { continue }
            let parent: Node
            if Self.isLabel(name, named: "content") {
                parent = Node(kind: .content, namespace: node.namespace, key: value)
            } else if Self.isLabel(name, named: "image") {
                parent = Node(kind: .image, namespace: node.namespace, key: value)
            } else if Self.isLabel(name, named: "container") {
                parent = Node(kind: .container, namespace: node.namespace, key: value)
            } else if let snapshotter = Self.snapshotter(in: name, prefix: "snapshot.") {
                parent = Node(kind: .snapshot, namespace: node.namespace, key: "\(snapshotter)/\(value)")
            } else {
                continue
            }
            backReferences[parent, default: []].append(node)
        }
    }

    private func isExpired(_ labels: [String: String]) -> Bool {
        guard let expiry = labels[Self.expireLabel].flatMap(RFC3339.parse) else { return false }
        return expiry < input.now
    }

    private static func node(of snapshot: SnapshotRecord) -> Node {
        Node(kind: .snapshot, namespace: snapshot.namespace, key: "\(snapshot.snapshotter)/\(snapshot.key)")
    }

    /// `name` itself, or `name` with a suffix after `.` or `/` that keeps several references of one object apart.
    private static func isLabel(_ label: String, named name: String) -> Bool {
        guard let rest = label.dropping(prefix: name) else { return false }
        return rest.isEmpty || rest.hasPrefix(".") || rest.hasPrefix("/")
    }

    private static func snapshotter(in label: String, prefix: String) -> String? {
        label.dropping(prefix: prefix).map { String($0.prefix { $0 != "/" }) }
    }
}

extension GarbageGraph.Node {
    fileprivate var whole: Self {
        var node = self
        node.isFlat = false
        return node
    }
}

extension String {
    /// The rest after `prefix`, or `nil` if the string does not begin with it.
    func dropping(prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
