internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import SwiftProtobuf
public import SystemPackage

/// How a container ended, as its monitor recorded it.
///
/// The monitor writes it (write, fsync, rename, fsync of the directory) before it tells anyone that the container ended.
public struct ExitRecord: Sendable, Equatable {
    public var id: String
    public var pid: Int32
    /// 0-255; 128 + signal where a signal ended it.
    public var exitCode: Int32
    /// 0 where it ended by itself.
    public var signal: Int32
    public var oomKilled: Bool
    /// Nanoseconds since the epoch; 0 where it never started.
    public var startedAt: Int64
    /// Nanoseconds since the epoch.
    public var finishedAt: Int64

    init(_ record: Berth_Launch_V1_ExitRecord) {
        id = record.id
        pid = record.pid
        exitCode = Int32(clamping: record.exitCode)
        signal = Int32(clamping: record.signal)
        oomKilled = record.oomKilled
        startedAt = record.startedAt
        finishedAt = record.finishedAt
    }

    /// - Returns: `nil` while there is no record: the container runs, or its monitor was killed.
    /// - Throws: `BerthError` (`dataLoss`) for a file that is no record.
    public static func read(at path: FilePath) throws -> ExitRecord? {
        let bytes: [UInt8]
        do {
            bytes = try Files.read(path, limit: 64 * 1024)
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch {
            throw BerthError(.internal, "read exit record \(path)", cause: error)
        }
        guard let record = try? Berth_Launch_V1_ExitRecord(serializedBytes: bytes), record.version == 1 else {
            throw BerthError(.dataLoss, "\(path) is not an exit record of version 1")
        }
        return ExitRecord(record)
    }
}
