internal import ContainerdAPI
internal import Core
private import GRPCCore
private import Images
internal import OCISpec
internal import Terminal

/// Makes snapshots out of an image's layers, with the daemon's diff and snapshots services.
extension Connection {
    /// - Returns: the chain ID of the topmost layer.
    @discardableResult
    func unpack(
        _ target: Descriptor, platform: Platform, snapshotter: String, progress: ProgressBoard
    ) async throws -> Digest? {
        guard let (_, manifest) = try await manifest(of: target, platform: platform) else {
            throw BerthError(.notFound, "image \(target.digest) has no content for \(platform)")
        }
        let diffIDs = try await config(of: manifest).rootfs.diffIDs
        guard diffIDs.count == manifest.layers.count else {
            throw BerthError(
                .invalidArgument,
                "image \(target.digest) has \(manifest.layers.count) layers but its config names \(diffIDs.count)")
        }
        var chain: Digest?
        for (layer, diffID) in zip(manifest.layers, diffIDs) {
            let next = try chain.map { try Digest.of(Array("\($0) \(diffID)".utf8)) } ?? diffID
            try await unpack(layer, diffID: diffID, onto: chain, as: next, snapshotter, progress)
            chain = next
        }
        if let chain {
            // Keeps the snapshots while the image is there.
            try await setBlobLabels(
                manifest.config.digest, ["containerd.io/gc.ref.snapshot.\(snapshotter)": "\(chain)"])
        }
        return chain
    }

    private func unpack(
        _ layer: Descriptor, diffID: Digest, onto parent: Digest?, as chain: Digest, _ snapshotter: String,
        _ progress: ProgressBoard
    ) async throws {
        let name = "unpack-\(layer.digest)"
        let size = UInt64(max(layer.size, 0))
        guard try await !hasSnapshot("\(chain)", snapshotter) else {
            progress.update(.init(name: name, state: "exists", done: 0, total: size, isFinished: true))
            return
        }
        progress.update(.init(name: name, state: "unpacking", total: size))
        let key = "extract-\(Timestamp.now.seconds)-\(Identifier.random().prefix(8)) \(chain)"
        let mounts = try await doing("prepare snapshot of layer \(layer.digest)") {
            try await snapshots.prepare(
                .with {
                    $0.snapshotter = snapshotter
                    $0.key = key
                    $0.parent = parent.map { "\($0)" } ?? ""
                }, options: Session.current.callOptions
            ).mounts
        }
        do {
            let applied = try await doing("unpack layer \(layer.digest)") {
                try await diff.apply(
                    .with {
                        $0.diff = layer.message
                        $0.mounts = mounts
                    }, options: Session.current.callOptions
                ).applied
            }
            guard applied.digest == "\(diffID)" else {
                throw BerthError(
                    .dataLoss,
                    "layer \(layer.digest) unpacks to \(applied.digest), but the image's config names \(diffID)")
            }
            try await commit(key, as: "\(chain)", snapshotter)
        } catch {
            _ = try? await snapshots.remove(
                .with {
                    $0.snapshotter = snapshotter
                    $0.key = key
                }, options: Session.current.callOptions)
            throw error
        }
        try await setBlobLabels(layer.digest, ["containerd.io/uncompressed": "\(diffID)"])
        progress.update(.init(name: name, state: "unpacked", done: 0, total: size, isFinished: true))
    }

    private func commit(_ key: String, as name: String, _ snapshotter: String) async throws {
        do {
            try await doing("commit snapshot \(name)") {
                _ = try await snapshots.commit(
                    .with {
                        $0.snapshotter = snapshotter
                        $0.name = name
                        $0.key = key
                    }, options: Session.current.callOptions)
            }
        } catch let error as BerthError where error.code == .alreadyExists {
            // Somebody else unpacked the same layer meanwhile.
            _ = try? await snapshots.remove(
                .with {
                    $0.snapshotter = snapshotter
                    $0.key = key
                }, options: Session.current.callOptions)
        }
    }

    func hasSnapshot(_ key: String, _ snapshotter: String) async throws -> Bool {
        do {
            _ = try await snapshots.stat(
                .with {
                    $0.snapshotter = snapshotter
                    $0.key = key
                }, options: Session.current.callOptions)
            return true
        } catch let error as RPCError where error.code == .notFound {
            return false
        }
    }
}

extension ImageConfig.RootFS {
    /// The key of the topmost layer's snapshot: each chain ID is the digest of "PARENT DIFFID" (image-spec, config.md).
    func chainID() throws -> Digest? {
        var chain: Digest?
        for diffID in diffIDs {
            chain = try chain.map { try Digest.of(Array("\($0) \(diffID)".utf8)) } ?? diffID
        }
        return chain
    }
}
