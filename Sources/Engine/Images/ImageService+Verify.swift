public import Core
internal import Images

/// What reading all blobs has found.
public struct ContentVerification: Sendable {
    public var blobs = 0
    /// Bytes read.
    public var bytes: Int64 = 0
    /// Put aside; the next pull of their images fetches them again.
    public var damaged: [Digest] = []
}

extension ImageService {
    /// Reads every blob and compares its digest. What is damaged is put aside.
    public func verifyContent() async throws -> ContentVerification {
        var found = ContentVerification()
        for blob in try storage.blobs.list().sorted(by: { $0.digest.hex < $1.digest.hex }) {
            do {
                try await storage.blobs.verify(blob.digest)
            } catch let error as BerthError where error.code == .notFound {
                // Removed meanwhile.
                continue
            } catch let error as BerthError where error.code == .dataLoss {
                found.damaged.append(blob.digest)
            }
            found.blobs += 1
            found.bytes += blob.size
        }
        return found
    }
}
