internal import ContainerdAPI
internal import Core
internal import Engine
internal import GRPCCore
internal import SwiftProtobuf

struct EventServer: Containerd_Services_Events_V1_Events.SimpleServiceProtocol {
    let events: EventBus

    /// Passes an event of the client on, with the present time.
    func publish(
        request: Containerd_Services_Events_V1_PublishRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        let scope = try CallHeaders.scope()
        try Self.validate(topic: request.topic)
        events.publish(
            StorageEvent(
                time: WallClock.now(), namespace: scope.namespace, topic: request.topic,
                payload: .published(typeURL: request.event.typeURL, value: [UInt8](request.event.value))))
        return Google_Protobuf_Empty()
    }

    /// Passes an event on as it was published elsewhere.
    func forward(
        request: Containerd_Services_Events_V1_ForwardRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        let envelope = request.envelope
        try Self.validate(topic: envelope.topic)
        try NamespaceService.validate(envelope.namespace)
        guard let time = envelope.timestamp.nanoseconds, time > 0 else {
            throw BerthError.invalid(
                field: "envelope.timestamp", value: envelope.timestamp.seconds, rule: "must be set")
        }
        events.publish(
            StorageEvent(
                time: time, namespace: envelope.namespace, topic: envelope.topic,
                payload: .published(typeURL: envelope.event.typeURL, value: [UInt8](envelope.event.value))))
        return Google_Protobuf_Empty()
    }

    /// Events of all namespaces from now on, until the client goes away.
    func subscribe(
        request: Containerd_Services_Events_V1_SubscribeRequest, response: RPCWriter<Containerd_Types_Envelope>,
        context: ServerContext
    ) async throws {
        let filter = try FilterSet(request.filters)
        for try await event in events.subscribe() {
            guard filter.matches({ event.field($0) }) else { continue }
            try await response.write(event.envelope())
        }
    }

    /// `/` and words between slashes, as containerd demands.
    private static func validate(topic: String) throws {
        let words = topic.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        let isValid = topic.hasPrefix("/") && topic.utf8.count <= 1024 && !words.contains { $0.isEmpty }
        guard isValid else {
            throw BerthError.invalid(
                field: "topic", value: topic.prefix(100), rule: "must begin with / and have words between slashes")
        }
    }
}
