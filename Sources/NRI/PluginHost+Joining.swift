internal import Core
internal import Engine
internal import LinuxKernel
internal import NRIAPI
internal import SwiftProtobuf
internal import Synchronization
internal import SystemPackage

/// How a plugin becomes one: it registers, is configured, and is told what there is.
extension PluginHost {
    /// Serves the plugin until its connection ends.
    ///
    /// - Parameters:
    ///   - name: of one that this daemon has started; others say it themselves.
    ///   - joined: called once, when it is called for events from now on, or has failed to come to that.
    func serve(
        _ connection: PluginConnection, name: PluginName? = nil, process: ChildProcess? = nil, settings: String = "",
        joined: @escaping @Sendable () -> Void = {}
    ) async {
        let registration = Registration()
        let reading = Task { [logger] in
            let end = await connection.run { request in
                await self.answer(request, registration)
            }
            registration.fail()
            if let end {
                logger.warning(
                    "a plugin broke the protocol", metadata: ["plugin": "\(registration.label)", "reason": "\(end)"])
            }
        }
        var plugin: Plugin?
        do {
            let given = try await register(registration, connection)
            let joining = try Plugin(
                id: state.withLock { state in
                    defer { state.nextID += 1 }
                    return state.nextID
                }, name: name ?? PluginName(index: given.pluginIdx, name: given.pluginName), connection: connection,
                events: try await configure(connection, settings: settings), process: process)
            plugin = joining
            registration.name(joining)
            try await join(joining)
            logger.notice(
                "a plugin joined",
                metadata: ["plugin": "\(joining.name)", "pid": "\(process?.pid ?? connection.peer ?? 0)"])
            joined()
            await reading.value
            drop(joining, "its connection has ended")
        } catch {
            logger.warning(
                "a plugin could not join", metadata: ["plugin": "\(registration.label)", "error": "\(error)"])
            if let plugin { drop(plugin, "\(error)") }
            connection.close()
            try? process?.signal(9)
            joined()
            await reading.value
        }
    }

    private func register(
        _ registration: Registration, _ connection: PluginConnection
    ) async throws -> NRIRegisterPluginRequest {
        let limit = configuration.registrationTimeout
        return try await withThrowingTaskGroup(of: NRIRegisterPluginRequest.self) { group in
            group.addTask { try await registration.value() }
            group.addTask {
                try await Pause.wait(for: limit)
                throw BerthError(.deadlineExceeded, "it did not register within \(limit)")
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    /// - Returns: the events that it wants.
    private func configure(_ connection: PluginConnection, settings: String) async throws -> Int32 {
        let request = NRIConfigureRequest.with {
            $0.config = settings
            $0.runtimeName = "berth"
            $0.runtimeVersion = Release.version
            $0.registrationTimeout = configuration.registrationTimeout.milliseconds
            $0.requestTimeout = configuration.requestTimeout.milliseconds
            $0.nriVersion = Self.protocolVersion
        }
        let answer = try await connection.call(
            "Configure", request, timeout: configuration.requestTimeout, as: NRIConfigureResponse.self)
        guard answer.events & ~Plugin.allEvents == 0 else {
            throw BerthError.invalid(
                field: "events", value: answer.events, rule: "has bits of events that do not exist")
        }
        return answer.events == 0 ? Plugin.allEvents : answer.events
    }

    /// The release of NRI whose messages specs/nri has.
    static let protocolVersion = "v0.12.0"

    /// Puts the plugin into the list and tells it what there is; its other calls wait meanwhile.
    private func join(_ plugin: Plugin) async throws {
        try await turns.withLock(plugin.id) {
            let made = state.withLock { state in
                state.plugins.append(plugin)
                state.plugins.sort(by: Plugin.comesBefore)
                return (pods: state.pods, containers: state.containers)
            }
            let pods = engine?.podSandboxes() ?? []
            let containers = engine?.containers() ?? []
            let shown = Set(pods.map(\.id))
            let running = containers.filter { $0.state.exit == nil }
            let all = Set(containers.map(\.id))
            let podMessages = (pods + made.pods.values.filter { !shown.contains($0.id) }).map(message)
            let containerMessages =
                running.map { NRIContainer($0, specification($0)) }
                + made.containers.values.filter { !all.contains($0.container.id) }
                .map { NRIContainer($0.container, $0.spec) }
            let updates = try await synchronize(plugin, podMessages, containerMessages)
            _ = await carryOut(updates, of: "\(plugin.name)")
        }
    }

    /// In as many messages as it takes.
    private func synchronize(
        _ plugin: Plugin, _ pods: [NRIPodSandbox], _ containers: [NRIContainer]
    ) async throws -> [NRIContainerUpdate] {
        let pieces = SynchronizationPieces.make(pods, containers)
        for (index, piece) in pieces.enumerated() {
            let answer = try await plugin.connection.call(
                "Synchronize", piece, timeout: configuration.registrationTimeout, as: NRISynchronizeResponse.self)
            if index == pieces.count - 1 { return answer.update }
            guard answer.more, answer.update.isEmpty else {
                throw BerthError(
                    .failedPrecondition, "it does not take the state of the node in more than one message")
            }
        }
        return []
    }

    // MARK: Calls of the plugin

    private func answer(_ request: TTRPCRequest, _ registration: Registration) async -> Result<[UInt8], TTRPCStatus> {
        do {
            switch (request.service, request.method) {
            case ("nri.pkg.api.v1alpha1.Runtime", "RegisterPlugin"):
                let given = try NRIRegisterPluginRequest(serializedBytes: Array(request.payload))
                guard registration.succeed(given) else {
                    return .failure(.of(.failedPrecondition, "the plugin is registered already"))
                }
                return .success([])
            case ("nri.pkg.api.v1alpha1.Runtime", "UpdateContainers"):
                guard let name = registration.plugin else {
                    return .failure(.of(.failedPrecondition, "the plugin is not registered"))
                }
                let wanted = try NRIUpdateContainersRequest(serializedBytes: Array(request.payload))
                carryOut(wanted.evict, of: name)
                let failed = await carryOut(wanted.update, of: name)
                return .success(try NRIUpdateContainersResponse.with { $0.failed = failed }.serializedBytes())
            default:
                return .failure(.of(.unimplemented, "\(request.service)/\(request.method) does not exist"))
            }
        } catch {
            return .failure(.of(.invalidArgument, "\(request.method): \(error)"))
        }
    }
}

/// The state of a node, in messages that are small enough.
struct SynchronizationPieces {
    /// With room for what is around it.
    static let limit = TTRPCFrame.dataLimit - (64 << 10)

    private let limit: Int
    private var pieces: [NRISynchronizeRequest] = []
    private var size = 0

    /// - Returns: at least one.
    static func make(
        _ pods: [NRIPodSandbox], _ containers: [NRIContainer], limit: Int = limit
    ) -> [NRISynchronizeRequest] {
        var result = SynchronizationPieces(limit: limit)
        for pod in pods { result.pieces[result.place(for: pod)].pods.append(pod) }
        for container in containers { result.pieces[result.place(for: container)].containers.append(container) }
        return result.pieces
    }

    private init(limit: Int) {
        self.limit = limit
        pieces = [NRISynchronizeRequest()]
    }

    /// - Returns: the index of the piece that `item` goes into.
    private mutating func place(for item: some Message) -> Int {
        let bytes: [UInt8]? = try? item.serializedBytes()
        // With its heading in the list.
        let cost = (bytes?.count ?? 0) + 8
        if size + cost > limit, size > 0 {
            pieces[pieces.count - 1].more = true
            pieces.append(NRISynchronizeRequest())
            size = 0
        }
        size += cost
        return pieces.count - 1
    }
}

/// The plugin's first call, for which somebody waits.
private final class Registration: Sendable {
    private struct State {
        var request: NRIRegisterPluginRequest?
        var isOver = false
        var waiter: CheckedContinuation<NRIRegisterPluginRequest, any Error>?
        var name: String?
    }

    private let state = Mutex(State())

    /// Of the plugin once it has one.
    var plugin: String? { state.withLock { $0.name } }

    /// For the log.
    var label: String {
        state.withLock { state in
            state.name ?? state.request.map { "\($0.pluginIdx)-\($0.pluginName)" } ?? "without a name"
        }
    }

    func name(_ plugin: Plugin) {
        state.withLock { $0.name = "\(plugin.name)" }
    }

    /// - Returns: whether it is the first.
    func succeed(_ request: NRIRegisterPluginRequest) -> Bool {
        let (isFirst, waiter) = state.withLock { state in
            guard state.request == nil else {
                return (false, nil as CheckedContinuation<NRIRegisterPluginRequest, any Error>?)
            }
            state.request = request
            defer { state.waiter = nil }
            return (true, state.waiter)
        }
        waiter?.resume(returning: request)
        return isFirst
    }

    func fail() {
        let waiter = state.withLock { state in
            state.isOver = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(throwing: CallFailure.closed)
    }

    func value() async throws -> NRIRegisterPluginRequest {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { state -> Result<NRIRegisterPluginRequest, any Error>? in
                    if let request = state.request { return .success(request) }
                    if state.isOver { return .failure(CallFailure.closed) }
                    state.waiter = continuation
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            fail()
        }
    }
}
