internal import Core
internal import Images
internal import OCISpec
private import class Foundation.Thread
public import SystemPackage

extension ImageService {
    /// Writes images as an OCI image layout in a tar archive, which `docker load` reads too.
    ///
    /// - Parameter references: what ``status(of:namespace:)`` takes; each keeps the name that was found.
    public func export(
        _ references: [String], namespace: String = criNamespace, to file: FileDescriptor
    ) async throws {
        var items: [ArchiveExport.Item] = []
        for reference in references {
            guard let found = try await find(reference, namespace: namespace).first else {
                throw BerthError.notFound("image", reference)
            }
            items.append(ArchiveExport.Item(name: found.name.name, target: found.name.target))
        }
        // The gate keeps the blobs while they are read one after the other.
        let (blobs, exported) = (storage.blobs, items)
        try await storage.gate.withOperation {
            try await onThread { try ArchiveExport(content: blobs).write(exported) { _ = try file.writeAll($0) } }
        }
    }
}

/// Runs `body`, which may block for long, on a thread of its own instead of one of the few that tasks share.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}
