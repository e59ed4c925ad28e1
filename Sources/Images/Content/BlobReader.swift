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

    /// Reads everything and compares the digest.
    ///
    /// - Throws: `BerthError` (`dataLoss`) if the content is not what its name says.
    public func verify() throws {
        var hasher = ContentHasher(digest.algorithm)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let count = try EntryCalls.read(descriptor.fd, at: hasher.count, into: buffer)
            if count == 0 { break }
            hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        let actual = try hasher.digest()
        guard actual == digest else {
            throw BerthError(
                .dataLoss, "blob \(digest) is damaged: its content has digest \(actual)",
                advice: "remove it and pull the image again")
        }
    }
}
