internal import Core
internal import LinuxKernel
internal import Synchronization
internal import SystemPackage

/// Addresses in use: one file per address, named by it, with the pod's ID and interface as lines.
///
/// A lease is written aside and hard-linked to its name, so that it is there whole or not at all and two claims of one
/// address cannot both succeed, whatever is killed when. The directory is on a tmpfs: leases end with a reboot, as pods do.
final class LeaseDirectory: Sendable {
    struct Lease: Hashable, Sendable {
        let address: IPAddress
        let podID: String
        let interface: String
    }

    private struct State {
        /// `nil` until the directory was read.
        var leases: [IPAddress: Lease]?
        var last: [Int: IPAddress] = [:]
    }

    let path: FilePath
    private let state = Mutex(State())

    init(path: FilePath) {
        self.path = path
    }

    /// One free address of each pool.
    ///
    /// - Throws: `BerthError` (`resourceExhausted`) where a pool has none left; then no lease is kept.
    func allocate(
        podID: String, interface: String, pools: [AddressPool]
    ) throws -> [(address: IPAddress, range: AddressPool.Range)] {
        try state.withLock { state in
            var leases = try load(&state)
            var taken: [(address: IPAddress, range: AddressPool.Range)] = []
            do {
                for (number, pool) in pools.enumerated() {
                    let free = try pool.candidates(after: state.last[number] ?? lastGiven(pool)).first { candidate in
                        guard leases[candidate.address] == nil else { return false }
                        let lease = Lease(address: candidate.address, podID: podID, interface: interface)
                        let isOurs = try claim(lease)
                        leases[candidate.address] = isOurs ? lease : try read(candidate.address)
                        return isOurs
                    }
                    guard let free else {
                        let ranges = pool.ranges.map { "\($0.start) to \($0.end)" }.joined(separator: ", ")
                        throw BerthError(
                            .resourceExhausted, "no address is left in \(ranges): \(leases.count) are in use",
                            advice: "the leases are the files in \(path)")
                    }
                    taken.append(free)
                    state.last[number] = free.address
                }
            } catch {
                for (address, _) in taken {
                    try? Syscall.unlinkat(path.appending("\(address)"))
                    leases[address] = nil
                }
                state.leases = leases
                throw error
            }
            state.leases = leases
            if let newest = taken.first?.address { rememberLast(newest) }
            return taken
        }
    }

    func leases(of podID: String) throws -> [Lease] {
        try state.withLock { state in
            try load(&state).values.filter { $0.podID == podID }.sorted { $0.address < $1.address }
        }
    }

    func all() throws -> [Lease] {
        try state.withLock { try load(&$0).values.sorted { $0.address < $1.address } }
    }

    func release(podID: String) throws {
        try release { $0.podID == podID }
    }

    /// Releases what other pods hold, and what no pod does: files that name none.
    func release(except kept: Set<String>) throws {
        try release { !kept.contains($0.podID) }
    }

    /// Reads the directory anew next time.
    func forget() {
        state.withLock { $0 = State() }
    }

    private func release(where isReleased: (Lease) -> Bool) throws {
        try state.withLock { state in
            for lease in try load(&state).values where isReleased(lease) {
                do throws(Errno) {
                    try Syscall.unlinkat(path.appending("\(lease.address)"))
                } catch .noSuchFileOrDirectory {
                } catch {
                    throw BerthError(.internal, "release the lease \(path.appending("\(lease.address)"))", cause: error)
                }
                state.leases?[lease.address] = nil
            }
        }
    }

    private func load(_ state: inout State) throws -> [IPAddress: Lease] {
        if let known = state.leases { return known }
        do {
            try Files.makeDirectories(path, mode: 0o700)
            var leases: [IPAddress: Lease] = [:]
            for name in try Files.list(path) {
                guard let address = try? IPAddress(name) else {
                    if name.hasPrefix(Self.temporaryPrefix) { try? Syscall.unlinkat(path.appending(name)) }
                    continue
                }
                leases[address] = try read(address)
            }
            state.leases = leases
            return leases
        } catch let error as Errno {
            throw BerthError(.internal, "read the leases in \(path)", cause: error)
        }
    }

    private func read(_ address: IPAddress) throws -> Lease? {
        do throws(Errno) {
            let lines = try Files.readText(path.appending("\(address)"), limit: 4096)
                .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            return Lease(
                address: address, podID: lines.first ?? "", interface: lines.dropFirst().first ?? "")
        } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            throw BerthError(.internal, "read the lease \(path.appending("\(address)"))", cause: error)
        }
    }

    /// - Returns: whether the address was free and is the lease's now.
    private func claim(_ lease: Lease) throws -> Bool {
        let temporary = path.appending(Self.temporaryPrefix + String(UInt64.random(in: 0...UInt64.max), radix: 36))
        do throws(Errno) {
            let file = try Syscall.open(temporary, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
            defer { try? Syscall.unlinkat(temporary) }
            try Files.writeAll(file.fd, Array("\(lease.podID)\n\(lease.interface)\n".utf8))
            do throws(Errno) {
                try Syscall.linkat(temporary, path.appending("\(lease.address)"))
                return true
            } catch .fileExists {
                return false
            }
        } catch {
            throw BerthError(.internal, "write the lease \(path.appending("\(lease.address)"))", cause: error)
        }
    }

    /// Where to go on after a restart: addresses are given round, so that one just freed is not given again at once.
    private func lastGiven(_ pool: AddressPool) -> IPAddress? {
        guard let text = try? Files.readText(path.appending(Self.lastFile), limit: 128),
            let address = try? IPAddress(text), pool.ranges.contains(where: { $0.contains(address) })
        else { return nil }
        return address
    }

    private func rememberLast(_ address: IPAddress) {
        // Only a hint: a failure to write it costs nothing.
        try? Files.writeAtomically(path.appending(Self.lastFile), Array("\(address)".utf8))
    }

    private static let temporaryPrefix = ".new."
    private static let lastFile = "last"
}
