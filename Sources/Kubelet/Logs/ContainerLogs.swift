internal import Core
internal import Foundation
internal import Glibc
internal import SystemPackage

/// Files of container logs: `NAME/ATTEMPT.log`, and rotated ones with a time behind it.
enum ContainerLogs {
    static func remove(in folder: FilePath, attempt: UInt32) {
        for name in names(in: folder) where name == "\(attempt).log" || name.hasPrefix("\(attempt).log.") {
            unlink(folder.appending(name).string)
        }
        rmdir(folder.string)
    }

    static func names(in folder: FilePath) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder.string)) ?? []
    }

    /// The last lines of a log in the CRI's format, without its time stamps; at most `bytes` of them.
    static func lastLines(_ path: FilePath, lines: Int, bytes: Int) -> String {
        // Twice as much is read, since every line carries about 40 bytes of its own.
        guard !path.isEmpty, let tail = HostFiles.tail(path, limit: bytes * 2 + 4096) else { return "" }
        let text = String(decoding: tail, as: UTF8.self)
        let kept = text.split(separator: "\n").compactMap(message).suffix(lines).joined()
        return String(decoding: kept.utf8.suffix(bytes), as: UTF8.self)
    }

    /// `TIME STREAM F|P TEXT` (Kubernetes, CRI logging format); a partial line carries no line end.
    static func message(_ line: Substring) -> String? {
        let fields = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        guard fields.count == 4, ["stdout", "stderr"].contains(fields[1]) else { return nil }
        return fields[2].hasPrefix("P") ? String(fields[3]) : fields[3] + "\n"
    }
}

/// Rotates the logs of running containers by size.
struct LogRotation: Sendable {
    let runtime: any ContainerRuntime
    let maxSize: Int64
    let maxFiles: Int

    /// - Returns: whether the log was rotated.
    func rotate(_ path: FilePath, containerID: String, now: Date) async throws -> Bool {
        var info = stat()
        guard lstat(path.string, &info) == 0, info.st_mode & S_IFMT == S_IFREG, Int64(info.st_size) > maxSize else {
            return false
        }
        let folder = path.removingLastComponent()
        guard let name = path.lastComponent?.string else { return false }
        let rotated = folder.appending("\(name).\(Self.stamp(now))")
        guard rename(path.string, rotated.string) == 0 else { throw HostFiles.failure("rotate", path) }
        do {
            try await runtime.reopenContainerLog(containerID)
        } catch {
            // The runtime still writes to the renamed file: it must be found under its name.
            if lstat(path.string, &info) != 0 { rename(rotated.string, path.string) }
            throw error
        }
        let old = ContainerLogs.names(in: folder).filter { $0.hasPrefix("\(name).") }.sorted()
        for name in old.dropLast(max(maxFiles - 1, 1)) { unlink(folder.appending(name).string) }
        return true
    }

    /// `20260131-235959`, as Kubernetes' kubelet names rotated logs.
    private static func stamp(_ date: Date) -> String {
        var seconds = time_t(date.timeIntervalSince1970)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(parts.tm_year + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))"
            + "-\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))"
    }
}
