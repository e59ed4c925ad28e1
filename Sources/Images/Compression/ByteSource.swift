private import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// A stream of bytes, read by one thread.
protocol ByteSource: AnyObject {
    /// Fills `buffer`; less is returned only at the end of the stream, and 0 after it.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

/// A file from its beginning, or from `offset`.
final class FileSource: ByteSource {
    private let descriptor: OwnedDescriptor
    private var offset: Int64

    init(_ descriptor: OwnedDescriptor, offset: Int64 = 0) {
        self.descriptor = descriptor
        self.offset = offset
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try EntryCalls.read(descriptor.fd, at: offset, into: buffer)
        offset += Int64(count)
        return count
    }
}

/// What a descriptor that cannot seek delivers: a pipe, a socket.
final class PipeSource: ByteSource {
    private let descriptor: FileDescriptor

    init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try EntryCalls.read(descriptor, into: buffer)
    }
}

/// A blob that is still being downloaded: reading waits for the writer.
final class IncomingSource: ByteSource {
    private let blob: IncomingBlob
    private var offset: Int64 = 0

    init(_ blob: IncomingBlob) {
        self.blob = blob
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let position = offset
        let wanted = Int64(buffer.count)
        let available: Int64 = try blob.growth.wait { growth in
            if let failure = growth.failure { throw failure }
            if growth.isWhole || growth.available >= position + wanted { return growth.available - position }
            return nil
        }
        let count = Int(min(available, wanted))
        guard count > 0 else { return 0 }
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        let done = try EntryCalls.read(blob.descriptor.fd, at: offset, into: part)
        guard done == count else {
            // The writer has started again meanwhile.
            throw blob.growth.read { $0.failure } ?? BerthError(.dataLoss, "content became shorter while it was read")
        }
        offset += Int64(done)
        return done
    }
}
