internal import Core
internal import LinuxKernel
internal import Synchronization
internal import SystemPackage

/// The directory of network configurations: the first valid file by name is the one. Read again when a file changes.
final class CNIConfigurationDirectory: Sendable {
    enum Choice: Sendable {
        /// No file with a configuration's name.
        case none
        /// Files, none of them valid.
        case invalid([String])
        /// `problems`: of the files before it.
        case found(CNIConfiguration, problems: [String])
    }

    private struct Stamp: Equatable {
        let name: String
        let inode: UInt64
        let size: Int64
        let changed: Int64
        let nanoseconds: Int64
    }

    let path: FilePath
    private let read = Mutex<(stamps: [Stamp], choice: Choice)?>(nil)

    init(path: FilePath) {
        self.path = path
    }

    func choice() -> Choice {
        read.withLock { read in
            let stamps = stamps()
            if let known = read, known.stamps == stamps { return known.choice }
            let choice = choose(stamps.map(\.name))
            read = (stamps, choice)
            return choice
        }
    }

    private func stamps() -> [Stamp] {
        let names = ((try? Files.list(path)) ?? []).filter { name in
            Self.extensions.contains { name.hasSuffix($0) } && !name.hasPrefix(".")
        }
        return names.sorted().compactMap { name in
            guard let status = try? Syscall.stat(path.appending(name), follow: true), status.kind == .regular else {
                return nil
            }
            return Stamp(
                name: name, inode: UInt64(status.inode), size: Int64(status.size),
                changed: Int64(status.changed.seconds), nanoseconds: Int64(status.changed.nanoseconds))
        }
    }

    private func choose(_ names: [String]) -> Choice {
        guard !names.isEmpty else { return .none }
        var problems: [String] = []
        for name in names {
            let file = path.appending(name)
            do {
                let bytes = try Files.read(file, limit: 1 << 20)
                let configuration = try CNIConfiguration(
                    bytes, path: file.string, single: !name.hasSuffix(".conflist"))
                return .found(configuration, problems: problems)
            } catch let error as Errno {
                problems.append("\(file): \(error)")
            } catch {
                problems.append("\(error)")
            }
        }
        return .invalid(problems)
    }

    private static let extensions = [".conflist", ".conf", ".json"]
}
