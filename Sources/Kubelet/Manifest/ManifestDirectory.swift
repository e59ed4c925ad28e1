internal import Core
internal import Foundation
internal import Glibc
internal import Logging
internal import SystemPackage

/// The pods of a directory of manifests. A file that is broken says so once and keeps the pods that it last held.
struct ManifestDirectory {
    struct Entry: Equatable, Sendable {
        var pod: Pod
        var path: String
    }

    let path: FilePath
    let nodeName: String
    let log: Logger

    private struct Version: Equatable {
        let inode: UInt64
        let size: Int64
        let changed: Int64
    }

    private struct File {
        var version: Version
        var pods: [Pod]
        var isBroken: Bool
    }

    private var files: [String: File] = [:]
    private var skipped: Set<String> = []
    private var isUnreadable = false

    private static let endings = [".yaml", ".yml", ".json", ".manifest"]
    private static let maxFiles = 1000

    init(path: FilePath, nodeName: String, log: Logger) {
        (self.path, self.nodeName, self.log) = (path, nodeName, log)
    }

    /// Files that cannot be read or parsed now: what the runtime has of them is left alone.
    var broken: Set<String> { Set(files.filter(\.value.isBroken).map(\.key)) }

    var entries: [Entry] {
        files.sorted { $0.key < $1.key }.flatMap { path, file in file.pods.map { Entry(pod: $0, path: path) } }
    }

    /// Reads what has changed since the last look.
    ///
    /// - Returns: `false` where the directory cannot be read, and everything stays as it was.
    mutating func scan() -> Bool {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path.string)
            isUnreadable = false
        } catch {
            if !isUnreadable { log.error("manifest directory \(path) cannot be read: \(error.localizedDescription)") }
            isUnreadable = true
            return false
        }
        var seen: Set<String> = []
        for name in names.sorted() where !name.hasPrefix(".") {
            let file = path.appending(name).string
            guard Self.endings.contains(where: name.hasSuffix) else {
                if skipped.insert(file).inserted {
                    log.info("\(file) is skipped: manifests end in \(Self.endings.joined(separator: ", "))")
                }
                continue
            }
            guard seen.count < Self.maxFiles else {
                if skipped.insert(file).inserted {
                    log.error("\(file) is skipped: more than \(Self.maxFiles) manifests")
                }
                continue
            }
            guard let version = Self.version(of: file) else { continue }
            seen.insert(file)
            if files[file]?.version != version { read(file, version) }
        }
        for gone in files.keys where !seen.contains(gone) {
            log.info("\(gone) is gone")
            files[gone] = nil
        }
        return true
    }

    private mutating func read(_ file: String, _ version: Version) {
        do {
            let text = try HostFiles.text(FilePath(file), limit: ManifestValue.Limit.bytes)
            let result = try ManifestParser.parse(text, path: file, nodeName: nodeName)
            for warning in result.warnings { log.warning("\(file): \(warning)") }
            files[file] = File(version: version, pods: result.pods, isBroken: false)
            log.info("\(file) holds \(result.pods.map(\.fullName).joined(separator: ", "))")
        } catch {
            let kept = files[file]?.pods ?? []
            let consequence = kept.isEmpty ? "" : "; its pods stay as they were"
            log.error("manifest \(file): \(error)\(consequence)")
            files[file] = File(version: version, pods: kept, isBroken: true)
        }
    }

    /// `nil` for what is no regular file (through links, as mounted configuration is made of them).
    private static func version(of path: String) -> Version? {
        var info = stat()
        guard stat(path, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { return nil }
        let changed = Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
        return Version(inode: UInt64(info.st_ino), size: Int64(info.st_size), changed: changed)
    }
}
