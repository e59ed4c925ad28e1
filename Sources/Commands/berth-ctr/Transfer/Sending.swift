internal import Core
internal import Images
internal import OCISpec
internal import Terminal

/// Sends images from a store on this side to the daemon.
extension Connection {
    /// Sends all that `target` refers to and that `store` has: layers and configs first, then the documents that name
    /// them, so that nothing in the daemon ever names what is not there.
    func send(_ target: Descriptor, from store: ContentStore, progress: ProgressBoard) async throws {
        var parts = SendOrder()
        try parts.add(target, from: store)
        for part in parts.leaves {
            progress.update(.init(name: transferReference(part), state: "waiting", total: part.bytes))
        }
        // Three at once keep the daemon's disk busy; more only take memory.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, part) in parts.leaves.enumerated() {
                if index >= 3 { try await group.next() }
                group.addTask { try await send(part, labels: [:], from: store, progress) }
            }
            try await group.waitForAll()
        }
        for (document, labels) in parts.documents { try await send(document, labels: labels, from: store, progress) }
    }

    private func send(
        _ part: Descriptor, labels: [String: String], from store: ContentStore, _ progress: ProgressBoard
    ) async throws {
        let name = transferReference(part)
        if try await blobInfo(part.digest) != nil {
            try await setBlobLabels(part.digest, labels)
            progress.update(.init(name: name, state: "exists", done: 0, total: part.bytes, isFinished: true))
            return
        }
        let blob = try store.open(part.digest)
        try await writeBlob(part.digest, size: blob.size, reference: name, labels: labels) { offset in
            try blob.read(at: offset, count: 1 << 20)
        } progress: { sent in
            let state = sent < blob.size ? "writing" : "done"
            progress.update(
                .init(
                    name: name, state: state, done: UInt64(sent), total: UInt64(blob.size),
                    isFinished: sent >= blob.size))
        }
    }
}

/// The parts of an image in the order in which they can be sent.
private struct SendOrder {
    private(set) var leaves: [Descriptor] = []
    /// Manifests before the indices that name them, with the labels that keep their parts.
    private(set) var documents: [(Descriptor, [String: String])] = []
    private var seen: Set<Digest> = []

    mutating func add(_ descriptor: Descriptor, from store: ContentStore, depth: Int = 0) throws {
        guard depth < 8 else {
            throw BerthError(.invalidArgument, "index \(descriptor.digest) is nested more than 8 deep")
        }
        // Of an index for many platforms only some manifests are here.
        guard store.contains(descriptor.digest), seen.insert(descriptor.digest).inserted else { return }
        guard descriptor.mediaType.isIndex || descriptor.mediaType.isManifest else {
            leaves.append(descriptor)
            return
        }
        let bytes = try store.read(descriptor, limit: ImageDocument.sizeLimit)
        let document = try ImageDocument.decode(
            bytes, mediaType: descriptor.mediaType, what: "content \(descriptor.digest)")
        let (children, labels) = Connection.references(of: document)
        for child in children { try add(child, from: store, depth: depth + 1) }
        documents.append((descriptor, labels))
    }
}

extension Descriptor {
    var bytes: UInt64 { UInt64(max(size, 0)) }
}
