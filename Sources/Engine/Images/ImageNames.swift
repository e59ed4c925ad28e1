public import Core
public import OCISpec
internal import Store

/// A name and what it stands for.
public struct NamedImage: Sendable, Hashable {
    public var name: String
    public var target: Descriptor
    public var labels: [String: String]
    /// Nanoseconds since 1970.
    public var createdAt: Int64
    public var updatedAt: Int64

    public init(
        name: String, target: Descriptor, labels: [String: String] = [:], createdAt: Int64 = 0, updatedAt: Int64 = 0
    ) {
        self.name = name
        self.target = target
        self.labels = labels
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    init(_ record: ImageRecord) {
        self.init(
            name: record.name,
            target: Descriptor(
                mediaType: MediaType(rawValue: record.targetMediaType), digest: record.targetDigest,
                size: record.targetSize,
                annotations: record.targetAnnotations.isEmpty ? nil : record.targetAnnotations),
            labels: record.labels, createdAt: record.createdAt, updatedAt: record.updatedAt)
    }

    /// Its name is an image's ID: that of CRI's namespace which an image has beside those that it was given.
    var isIdentity: Bool { name.hasPrefix("sha") && (try? Digest(name)) != nil }

    func record(namespace: String) -> ImageRecord {
        ImageRecord(
            namespace: namespace, name: name, targetMediaType: target.mediaType.rawValue, targetDigest: target.digest,
            targetSize: target.size, targetAnnotations: target.annotations ?? [:], labels: labels, createdAt: createdAt,
            updatedAt: updatedAt)
    }
}

/// Names as they are stored, without looking at what they stand for.
extension ImageService {
    /// - Throws: `BerthError` (`notFound`).
    public func named(_ name: String, namespace: String) async throws -> NamedImage {
        let record = try await storage.database.read { try $0.image(name, namespace: namespace) }
        guard let record else { throw BerthError.notFound("image", name) }
        return NamedImage(record)
    }

    /// By name.
    public func allNamed(namespace: String) async throws -> [NamedImage] {
        try await remembered.names(of: namespace).all
    }

    /// - Throws: `BerthError` (`alreadyExists`).
    public func create(_ image: NamedImage, namespace: String) async throws -> NamedImage {
        try Self.validate(image)
        var image = image
        let now = WallClock.now()
        image.labels = image.labels.filter { !$0.value.isEmpty }.merging(ownLabels(of: image.name, namespace)) { $1 }
        image.createdAt = image.createdAt == 0 ? now : image.createdAt
        image.updatedAt = image.createdAt
        let record = image.record(namespace: namespace)
        let identity = identity(of: image, namespace)
        let isNew = try await storage.database.write { transaction in
            guard try transaction.image(record.name, namespace: namespace) == nil else {
                throw BerthError(.alreadyExists, "image \"\(record.name)\" already exists")
            }
            try transaction.put(record)
            return try transaction.add(identity, namespace: namespace)
        }
        storage.events.publish(
            StorageEvent(namespace: namespace, .imageCreate(name: image.name, labels: image.labels)))
        if isNew, let identity { publish(identity, namespace) }
        return image
    }

    /// Changes the image under `name` by `change`, in one transaction.
    ///
    /// - Throws: `BerthError` (`notFound`).
    public func update(
        _ name: String, namespace: String, _ change: @escaping @Sendable (inout NamedImage) throws -> Void
    ) async throws -> NamedImage {
        let image = try await storage.database.write { transaction in
            guard let record = try transaction.image(name, namespace: namespace) else {
                throw BerthError.notFound("image", name)
            }
            var image = NamedImage(record)
            try change(&image)
            image.name = name
            image.labels = image.labels.filter { !$0.value.isEmpty }
            image.createdAt = record.createdAt
            image.updatedAt = WallClock.now()
            try Self.validate(image)
            try transaction.put(image.record(namespace: namespace))
            return image
        }
        storage.events.publish(StorageEvent(namespace: namespace, .imageUpdate(name: name, labels: image.labels)))
        return image
    }

    /// Deletes one name; what only it referred to is collected soon, or before this returns.
    ///
    /// - Parameter target: delete only if the name stands for this digest.
    /// - Throws: `BerthError`: `notFound`; `failedPrecondition` if the target is another one.
    public func deleteName(
        _ name: String, target: Digest? = nil, namespace: String, waitForCollection: Bool = false
    ) async throws {
        try await storage.database.write(.keeping) { transaction in
            guard let record = try transaction.image(name, namespace: namespace) else {
                throw BerthError.notFound("image", name)
            }
            if let target, record.targetDigest != target {
                throw BerthError(
                    .failedPrecondition, "image \"\(name)\" stands for \(record.targetDigest) and not for \(target)")
            }
            try transaction.deleteImage(name, namespace: namespace)
        }
        storage.events.publish(StorageEvent(namespace: namespace, .imageDelete(name: name)))
        if waitForCollection { try await collectGarbage() } else { storage.collector.schedule() }
    }

    /// Lets `name` stand for `target`, whatever it stood for before.
    func assign(
        _ name: String, to target: Descriptor, labels: [String: String] = [:], in scope: StorageScope
    ) async throws {
        let labels = labels.merging(ownLabels(of: name, scope.namespace)) { $1 }
        let now = WallClock.now()
        let identity = identity(
            of: NamedImage(name: name, target: target, createdAt: now, updatedAt: now), scope.namespace)
        let (image, previous, isNew) = try await storage.database.write { transaction in
            let present = try transaction.image(name, namespace: scope.namespace)
            let image = NamedImage(
                name: name, target: target, labels: (present?.labels ?? [:]).merging(labels) { $1 },
                createdAt: present?.createdAt ?? now, updatedAt: now)
            try Self.validate(image)
            try transaction.put(image.record(namespace: scope.namespace))
            return (
                image, present.map(NamedImage.init)?.target,
                try transaction.add(identity, namespace: scope.namespace)
            )
        }
        let payload: StorageEvent.Payload =
            previous == nil
            ? .imageCreate(name: name, labels: image.labels) : .imageUpdate(name: name, labels: image.labels)
        storage.events.publish(StorageEvent(namespace: scope.namespace, payload))
        if isNew, let identity { publish(identity, scope.namespace) }
        // What the name stood for until now may be garbage.
        guard let previous, previous.digest != target.digest else { return }
        try await forgetIdentity(of: previous, scope.namespace)
        storage.collector.schedule()
    }

    /// By which containerd's clients know that CRI has an image, and that a kubelet must not collect it, whoever names it.
    private func ownLabels(of name: String, _ namespace: String) -> [String: String] {
        guard namespace == Self.criNamespace else { return [:] }
        var labels = ["io.cri-containerd.image": "managed"]
        if policy.isPinned(name) { labels[PinnedLabel.name] = PinnedLabel.value }
        return labels
    }

    /// The ID as a name, as containerd's clients find images of CRI by it; while a kubelet has not removed the image, it outlives
    /// the names that clients take away.
    ///
    /// - Returns: `nil` for other namespaces, and while the client still fetches what the image is made of.
    private func identity(of image: NamedImage, _ namespace: String) -> NamedImage? {
        guard namespace == Self.criNamespace, !image.isIdentity, let resolved = try? resolver.resolve(image.target)
        else { return nil }
        return NamedImage(
            name: "\(resolved.config.digest)", target: image.target, labels: ownLabels(of: "", namespace),
            createdAt: image.createdAt, updatedAt: image.updatedAt)
    }

    /// Takes the ID's name from an image that has no other one any more: its last name has come to stand for another image.
    private func forgetIdentity(of target: Descriptor, _ namespace: String) async throws {
        guard namespace == Self.criNamespace, let id = (try? resolver.resolve(target))?.config.digest else { return }
        let names = try await allNamed(namespace: namespace).filter {
            (try? resolver.resolve($0.target))?.config.digest == id
        }
        guard !names.isEmpty, names.allSatisfy(\.isIdentity) else { return }
        let isGone = try await storage.database.write(.keeping) {
            try $0.deleteImage("\(id)", namespace: namespace)
        }
        if isGone { storage.events.publish(StorageEvent(namespace: namespace, .imageDelete(name: "\(id)"))) }
    }

    private func publish(_ image: NamedImage, _ namespace: String) {
        storage.events.publish(
            StorageEvent(namespace: namespace, .imageCreate(name: image.name, labels: image.labels)))
    }

    private static func validate(_ image: NamedImage) throws {
        let name = image.name
        guard !name.isEmpty, name.utf8.count <= 1024, !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw BerthError.invalid(
                field: "image name", value: name.prefix(128), rule: "must be 1 to 1024 bytes without control characters"
            )
        }
        guard image.target.size > 0 else {
            throw BerthError.invalid(field: "target.size", value: image.target.size, rule: "must be positive")
        }
        guard !image.target.mediaType.rawValue.isEmpty else {
            throw BerthError.invalid(field: "target.media_type", value: "", rule: "must not be empty")
        }
    }
}

extension WriteTransaction {
    /// - Returns: whether it was not there.
    fileprivate func add(_ image: NamedImage?, namespace: String) throws -> Bool {
        guard let image, try self.image(image.name, namespace: namespace) == nil else { return false }
        try put(image.record(namespace: namespace))
        return true
    }
}
