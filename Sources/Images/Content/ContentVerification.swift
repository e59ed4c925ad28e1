public import Core

/// What reading all blobs has found.
public struct ContentVerification: Sendable {
    public var blobs = 0
    /// Bytes read.
    public var bytes: Int64 = 0
    /// Put aside; the next pull of their images fetches them again. Each with what is wrong with it.
    public var damaged: [(digest: Digest, problem: BerthError)] = []
}

extension ContentStore {
    /// Reads every blob and compares its digest. What is damaged is put aside.
    ///
    /// - Throws: what reading throws, but for a blob that is damaged, or was removed meanwhile.
    public func verifyAll() async throws -> ContentVerification {
        var found = ContentVerification()
        for blob in try list().sorted(by: { $0.digest.hex < $1.digest.hex }) {
            do {
                try await verify(blob.digest)
            } catch let error as BerthError where error.code == .notFound {
                continue
            } catch let error as BerthError where error.code == .dataLoss {
                found.damaged.append((blob.digest, error))
            }
            found.blobs += 1
            found.bytes += blob.size
        }
        return found
    }
}
