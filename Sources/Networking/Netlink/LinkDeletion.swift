internal import Core
internal import LinuxKernel
internal import Synchronization
internal import SystemPackage

/// The deletion of an interface, as far as anybody can see it.
///
/// The kernel announces the end of an interface after about a millisecond, when nothing lists it any more, and answers the
/// request when no processor can have it in hand, which is 10 to 20 ms later. So the request is made on a thread of its own,
/// and who wants the interface gone goes on at the announcement.
enum LinkDeletion {
    private final class Outcome: Sendable {
        let failure = Mutex<(any Error)?>(nil)
    }

    /// Returns when no interface of the calling thread's namespace has this name; there may be none to begin with.
    ///
    /// - Parameter routing: of the calling thread's namespace.
    static func perform(_ name: String, over routing: any NetlinkChannel) throws {
        guard let link = try routing.link(named: name) else { return }
        let (outcome, announcements, ended): (Outcome, NetlinkSocket, OwnedDescriptor)
        do {
            outcome = Outcome()
            announcements = try NetlinkSocket(.route, groups: [.links])
            ended = try start(name, outcome)
        } catch let error as Errno {
            throw BerthError(.internal, "delete interface \(name)", cause: error)
        }
        while try announcements.isReadable(before: ended.fd) {
            // One that is lost, since others came too fast, leaves the answer to wait for.
            guard let datagram = try? announcements.receive(), announces(datagram, link) else { continue }
            // Its place in /sys goes last, under the lock that this waits for.
            _ = try routing.link(named: name)
            return
        }
        if let failure = outcome.failure.withLock({ $0 }) { throw failure }
    }

    /// - Returns: what ends when the kernel has answered.
    private static func start(_ name: String, _ outcome: Outcome) throws -> OwnedDescriptor {
        let (ended, open) = try Syscall.pipe()
        // A thread begins in the namespaces of the one that starts it.
        try BlockingWork.start {
            do {
                try RoutingSocket().perform(.deleteLink(name), accepting: [Errno.noSuchDevice.rawValue])
            } catch {
                outcome.failure.withLock { $0 = error }
            }
            open.close()
        }
        return ended
    }

    /// Not the end of a port, which bridges announce before with a family of their own.
    private static func announces(_ datagram: [UInt8], _ link: Link) -> Bool {
        guard let messages = try? NetlinkMessage.decode(datagram) else { return false }
        return messages.contains {
            $0.type == Link.deleteType && $0.payload.first == 0 && $0.payload.integer(at: 4) == link.index
        }
    }
}
