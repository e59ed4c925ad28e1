internal import Core
internal import LinuxKernel
internal import NRIAPI
internal import SwiftProtobuf
internal import Synchronization

/// A plugin that has introduced itself and said what it wants to hear.
final class Plugin: Sendable {
    /// In the order of their coming.
    let id: UInt64
    let name: PluginName
    let connection: PluginConnection
    /// Bit N-1 for event N.
    let events: Int32
    /// Of one that this daemon has started.
    let process: ChildProcess?
    /// Calls that it does not have: it is told these events by `StateChange`.
    private let missing = Mutex<Set<NRIEvent>>([])

    static let allEvents = Int32(1 << NRIEvent.validateContainerAdjustment.rawValue) - 1

    init(id: UInt64, name: PluginName, connection: PluginConnection, events: Int32, process: ChildProcess?) {
        self.id = id
        self.name = name
        self.connection = connection
        self.events = events
        self.process = process
    }

    func wants(_ event: NRIEvent) -> Bool {
        events & (1 << Int32(event.rawValue - 1)) != 0
    }

    /// By index, and among equals by their coming.
    static func comesBefore(_ a: Plugin, _ b: Plugin) -> Bool {
        (a.name.index, a.id) < (b.name.index, b.id)
    }

    /// Tells it an event to which there is nothing to answer.
    ///
    /// - Throws: `CallFailure`
    func tell(
        _ event: NRIEvent, _ request: some Message, pod: NRIPodSandbox, container: NRIContainer?, timeout: Duration
    ) async throws {
        if !missing.withLock({ $0.contains(event) }) {
            do {
                _ = try await connection.call(event.method, request, timeout: timeout, as: NRIEmpty.self)
                return
            } catch let failure as CallFailure where failure.isUnimplemented {
                missing.withLock { _ = $0.insert(event) }
            }
        }
        let change = NRIStateChangeEvent.with {
            $0.event = event
            $0.pod = pod
            if let container { $0.container = container }
        }
        do {
            _ = try await connection.call("StateChange", change, timeout: timeout, as: NRIEmpty.self)
        } catch let failure as CallFailure where failure.isUnimplemented {
            // One that wants to hear everything, and has no call for this.
        }
    }

    /// Ends the connection, and the process where it is ours.
    func end() {
        connection.close()
        try? process?.signal(9)
    }
}

extension NRIEvent {
    /// The name of its call: that of the event with a capital letter.
    var method: String {
        let name = "\(self)"
        return name.prefix(1).uppercased() + name.dropFirst()
    }
}
