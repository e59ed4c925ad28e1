internal import LinuxKernel

/// A process with everything that it started.
enum ProcessTree {
    /// Kills `root`, its descendants, and what is left of its session where a parent in between has ended.
    ///
    /// They are stopped first, so that none forks while the others are looked for.
    static func kill(_ root: Int32) {
        guard let first = ProcessStatus.read(root) else {
            // Ended already; its session is not: everything of it was started by it.
            killAll(members(of: root, rootSession: root))
            return
        }
        var stopped: Set<ProcessStatus.ID> = []
        for _ in 0..<32 {
            let found = members(of: root, rootSession: first.session == root ? root : nil)
            let new = found.filter { !stopped.contains($0.identity) }
            if new.isEmpty { break }
            for process in new {
                try? Syscall.kill(process.pid, 19)
                stopped.insert(process.identity)
            }
        }
        killAll(members(of: root, rootSession: first.session == root ? root : nil))
    }

    private static func killAll(_ processes: [ProcessStatus]) {
        for process in processes { try? Syscall.kill(process.pid, 9) }
    }

    private static func members(of root: Int32, rootSession: Int32?) -> [ProcessStatus] {
        let all = ((try? ProcessStatus.all()) ?? []).compactMap(ProcessStatus.read)
        let children = Dictionary(grouping: all, by: \.parent)
        var result: [ProcessStatus] = []
        var seen: Set<Int32> = []
        var queue = all.filter { $0.pid == root || (rootSession != nil && $0.session == rootSession) }
        while let process = queue.popLast() {
            guard seen.insert(process.pid).inserted else { continue }
            result.append(process)
            queue += children[process.pid] ?? []
        }
        return result
    }
}

extension ProcessStatus {
    fileprivate struct ID: Hashable {
        let pid: Int32
        let startTime: UInt64
    }

    fileprivate var identity: ID { ID(pid: pid, startTime: startTime) }
}
