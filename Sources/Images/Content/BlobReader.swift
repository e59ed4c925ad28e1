public import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// One opened blob. It stays readable even if the blob is deleted meanwhile.
public final class BlobReader: Sendable {
    public let digest: Digest
    public let size: Int64
    let descriptor: OwnedDescriptor

    init(digest: Digest, descriptor: OwnedDescriptor) throws {
        self.digest = digest
        self.descriptor = descriptor
        size = try EntryCalls.status(descriptor.fd).size
    }

    /// Bytes from `offset`, at most `count`; fewer only at the end.
    public func read(at offset: Int64, count: Int) throws -> [UInt8] {
        guard offset >= 0, count >= 0, offset < size else { return [] }
        let wanted = Int(min(Int64(count), size - offset))
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, initialized in
            do throws(Errno) {
                initialized = try EntryCalls.read(
                    descriptor.fd, at: offset, into: UnsafeMutableRawBufferPointer(buffer))
            } catch {
                failure = error
                initialized = 0
            }
        }
        if let failure { throw BerthError(.dataLoss, "read blob \(digest)", cause: failure) }
        return bytes
    }

    /// The digest of what is there, which is another than `digest` if the blob is damaged.
    public func computeDigest() throws -> Digest {
        var hasher = ContentHasher(digest.algorithm)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var count = 0
        repeat {
            count = try EntryCalls.read(descriptor.fd, at: hasher.count, into: buffer)
            hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        } while count > 0
        return try hasher.digest()
    }
}
