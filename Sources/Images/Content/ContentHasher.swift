public import Core
internal import Crypto
internal import LinuxKernel
internal import SystemPackage

/// A digest being computed over a stream.
struct ContentHasher {
    private enum Function {
        case sha256(SHA256)
        case sha512(SHA512)
    }

    private var function: Function
    let algorithm: Core.Digest.Algorithm
    private(set) var count: Int64 = 0

    init(_ algorithm: Core.Digest.Algorithm) {
        self.algorithm = algorithm
        switch algorithm {
        case .sha256: function = .sha256(SHA256())
        case .sha512: function = .sha512(SHA512())
        }
    }

    /// Starts with all that the file holds.
    init(_ algorithm: Core.Digest.Algorithm, rereading file: FileDescriptor) throws {
        self.init(algorithm)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var length = try EntryCalls.read(file, at: 0, into: buffer)
        while length > 0 {
            update(UnsafeRawBufferPointer(rebasing: buffer[..<length]))
            length = try EntryCalls.read(file, at: count, into: buffer)
        }
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        count += Int64(bytes.count)
        switch function {
        case .sha256(var hash):
            hash.update(bufferPointer: bytes)
            function = .sha256(hash)
        case .sha512(var hash):
            hash.update(bufferPointer: bytes)
            function = .sha512(hash)
        }
    }

    func digest() throws -> Core.Digest {
        switch function {
        case .sha256(let hash): try Core.Digest(algorithm: .sha256, bytes: hash.finalize())
        case .sha512(let hash): try Core.Digest(algorithm: .sha512, bytes: hash.finalize())
        }
    }
}

extension Core.Digest {
    /// The digest of `bytes`.
    public static func of(_ bytes: [UInt8], algorithm: Algorithm = .sha256) throws -> Core.Digest {
        var hasher = ContentHasher(algorithm)
        bytes.withUnsafeBytes { hasher.update($0) }
        return try hasher.digest()
    }
}
