internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage

/// What runs on this host for IDs of pods and containers that no record vouches for: launchers that a killed daemon had just
/// started, network plugins at work for it, and everything of a pod whose record was lost with the database.
///
/// All of it bears the ID: launchers and monitors on their command line, network plugins (and what they start) in their
/// environment, cgroups in their names.
struct Strays: Sendable {
    let ids: Set<String>

    private static let patience = Duration.seconds(5)

    /// Kills the processes, and returns when they are gone: what they were about to make is made or never will be.
    func endProcesses() async {
        let found = processes()
        for (_, pidfd) in found { try? Syscall.pidfdSendSignal(pidfd.fd, 9) }
        let ended = Latch()
        let wait = Task {
            for (_, pidfd) in found { try? await Poller.shared.waitForExit(pidfd.fd) }
            ended.open()
        }
        _ = await ended.wait(atMost: Self.patience)
        wait.cancel()
        withExtendedLifetime(found) {}
    }

    private func processes() -> [(pid: Int32, pidfd: OwnedDescriptor)] {
        guard !ids.isEmpty else { return [] }
        return ((try? ProcessStatus.all()) ?? []).compactMap { pid in
            // First the descriptor, then the look: the process that was looked at is the one that is killed.
            guard let pidfd = try? Syscall.pidfdOpen(pid) else { return nil }
            let words = Self.words(FilePath("/proc/\(pid)/cmdline"))
            if words.first == "berth-launch" {
                return words.contains(where: ids.contains) ? (pid, pidfd) : nil
            }
            guard !words.isEmpty else { return nil }
            let isPlugin = Self.words(FilePath("/proc/\(pid)/environ")).contains { variable in
                variable.hasPrefix(Self.pluginVariable)
                    && ids.contains(String(variable.dropFirst(Self.pluginVariable.count)))
            }
            return isPlugin ? (pid, pidfd) : nil
        }
    }

    private static let pluginVariable = "CNI_CONTAINERID="

    private static func words(_ path: FilePath) -> [String] {
        ((try? Files.read(path, limit: 1 << 20)) ?? []).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Cgroups named by one of the IDs, as paths that hold in each hierarchy.
    func cgroups(on host: CgroupHost) -> [(path: String, id: String)] {
        var found: [String: String] = [:]
        for hierarchy in host.hierarchies {
            var queue: [(directory: FilePath, path: String)] = [(hierarchy.directory(of: "/"), "")]
            while let (directory, path) = queue.popLast() {
                for name in (try? Files.list(directory)) ?? [] {
                    let child = directory.appending(name)
                    guard (try? Syscall.stat(child, follow: false))?.kind == .directory else { continue }
                    if let id = ids.first(where: name.contains) {
                        found["\(path)/\(name)"] = id
                    } else {
                        queue.append((child, "\(path)/\(name)"))
                    }
                }
            }
        }
        return found.map { ($0.key, $0.value) }.sorted { $0.path < $1.path }
    }
}
