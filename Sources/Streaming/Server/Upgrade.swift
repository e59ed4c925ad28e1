internal import Crypto
internal import Foundation

/// An HTTP answer that is not an upgrade.
struct HTTPRefusal: Error, Equatable {
    var status: Int
    var reason: String
    var message: String
    var fields: [HTTPHead.Field] = []

    init(_ status: Int, _ reason: String, _ message: String, _ fields: [HTTPHead.Field] = []) {
        self.status = status
        self.reason = reason
        self.message = message
        self.fields = fields
    }

    static func badRequest(_ message: String) -> HTTPRefusal { HTTPRefusal(400, "Bad Request", message) }

    var encoded: [UInt8] {
        let body = message + "\n"
        return HTTPHead.response(
            status, reason,
            fields + [
                .init("Content-Type", "text/plain; charset=utf-8"), .init("Content-Length", "\(body.utf8.count)"),
                .init("Connection", "close"),
            ]
        ).encoded(body: body)
    }
}

/// What a request is upgraded to, and the answer that says so.
struct Upgrade: Sendable, Equatable {
    enum Transport: Sendable, Equatable {
        case spdy(RemoteCommandProtocol)
        case channels(ChannelProtocol)
        case portForward
        case tunneledPortForward
        /// WebSocket with two channels for each port.
        case portForwardChannels(isBase64: Bool)
    }

    var transport: Transport
    var response: HTTPHead

    static func negotiate(_ head: HTTPHead, isPortForward: Bool) -> Result<Upgrade, HTTPRefusal> {
        guard head.has("Connection", "upgrade") else {
            return .failure(.badRequest("unable to upgrade: the request has no \"Connection: Upgrade\""))
        }
        if head.has("Upgrade", StreamHeader.spdy) { return spdy(head, isPortForward: isPortForward) }
        if head.has("Upgrade", "websocket") { return webSocket(head, isPortForward: isPortForward) }
        let asked = head.list("Upgrade").joined(separator: ", ")
        return .failure(.badRequest("unable to upgrade to \"\(asked)\": SPDY/3.1 and websocket are served"))
    }

    private static func spdy(_ head: HTTPHead, isPortForward: Bool) -> Result<Upgrade, HTTPRefusal> {
        let asked = head.list(StreamHeader.protocolVersion)
        let known = isPortForward ? [StreamHeader.portForward] : RemoteCommandProtocol.spdy.map(\.rawValue)
        // Who names none is of the time when there was one.
        guard let chosen = asked.isEmpty ? known.last : asked.first(where: known.contains) else {
            return .failure(
                HTTPRefusal(
                    403, "Forbidden",
                    "unable to upgrade: the client speaks \(asked.joined(separator: ", ")), the server "
                        + known.joined(separator: ", "),
                    known.map { .init(StreamHeader.acceptedVersions, $0) }))
        }
        var fields: [HTTPHead.Field] = [.init("Connection", "Upgrade"), .init("Upgrade", StreamHeader.spdy)]
        if !asked.isEmpty { fields.append(.init(StreamHeader.protocolVersion, chosen)) }
        return .success(
            Upgrade(
                transport: isPortForward ? .portForward : .spdy(RemoteCommandProtocol(rawValue: chosen) ?? .v1),
                response: .response(101, "Switching Protocols", fields)))
    }

    private static func webSocket(_ head: HTTPHead, isPortForward: Bool) -> Result<Upgrade, HTTPRefusal> {
        guard head.first == "GET", head.list("Sec-WebSocket-Version") == ["13"],
            let key = head.list("Sec-WebSocket-Key").first
        else {
            return .failure(.badRequest("unable to upgrade: a WebSocket request is a GET of version 13 with a key"))
        }
        let asked = head.list("Sec-WebSocket-Protocol")
        let chosen: (name: String, transport: Transport)? =
            isPortForward ? portForwardChannels(asked) : channels(asked)
        guard let chosen else {
            return .failure(
                HTTPRefusal(
                    403, "Forbidden",
                    "unable to upgrade: none of the client's subprotocols \(asked.joined(separator: ", ")) is served"))
        }
        var fields: [HTTPHead.Field] = [
            .init("Connection", "Upgrade"), .init("Upgrade", "websocket"),
            .init("Sec-WebSocket-Accept", accept(key)),
        ]
        if !chosen.name.isEmpty { fields.append(.init("Sec-WebSocket-Protocol", chosen.name)) }
        return .success(
            Upgrade(transport: chosen.transport, response: .response(101, "Switching Protocols", fields)))
    }

    private static func channels(_ asked: [String]) -> (String, Transport)? {
        guard !asked.isEmpty else { return ("", .channels(.unnamed)) }
        for name in asked {
            if let known = ChannelProtocol.all.first(where: { $0.name == name }) { return (name, .channels(known)) }
        }
        return nil
    }

    private static func portForwardChannels(_ asked: [String]) -> (String, Transport)? {
        guard !asked.isEmpty else { return ("", .portForwardChannels(isBase64: false)) }
        for name in asked {
            switch name {
            case StreamHeader.tunnel: return (name, .tunneledPortForward)
            case "v4.channel.k8s.io": return (name, .portForwardChannels(isBase64: false))
            case "v4.base64.channel.k8s.io": return (name, .portForwardChannels(isBase64: true))
            default: continue
            }
        }
        return nil
    }

    /// RFC 6455, section 4.2.2.
    static func accept(_ key: String) -> String {
        let digest = Insecure.SHA1.hash(data: Data((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
        return String(decoding: Base64.encode(Array(digest)), as: UTF8.self)
    }
}
