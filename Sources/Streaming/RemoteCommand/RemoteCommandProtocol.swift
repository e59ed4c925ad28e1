/// Versions of Kubernetes' remote command protocol.
enum RemoteCommandProtocol: String, CaseIterable, Sendable {
    /// Adds to version 4 a message that ends stdin; over WebSocket only.
    case v5 = "v5.channel.k8s.io"
    /// The error stream holds a Status as JSON, with the exit code.
    case v4 = "v4.channel.k8s.io"
    /// Adds resizing.
    case v3 = "v3.channel.k8s.io"
    /// The error stream holds text, where there was an error.
    case v2 = "v2.channel.k8s.io"
    case v1 = "channel.k8s.io"

    /// Served over SPDY.
    static let spdy: [RemoteCommandProtocol] = [.v4, .v3, .v2, .v1]

    var hasStatus: Bool { self == .v5 || self == .v4 }
    var canResize: Bool { hasStatus || self == .v3 }
}

/// What a WebSocket client may ask for as its subprotocol.
struct ChannelProtocol: Sendable, Equatable {
    let name: String
    let version: RemoteCommandProtocol
    let isBase64: Bool

    /// Best first.
    static let all = [
        ChannelProtocol(name: "v5.channel.k8s.io", version: .v5, isBase64: false),
        ChannelProtocol(name: "v4.channel.k8s.io", version: .v4, isBase64: false),
        ChannelProtocol(name: "v4.base64.channel.k8s.io", version: .v4, isBase64: true),
        ChannelProtocol(name: "channel.k8s.io", version: .v1, isBase64: false),
        ChannelProtocol(name: "base64.channel.k8s.io", version: .v1, isBase64: true),
    ]
    /// Of a client that names none.
    static let unnamed = ChannelProtocol(name: "", version: .v1, isBase64: false)
}

/// Streams by their name in SPDY's `streamtype` header, with their channel's number over WebSocket.
enum CommandStream: String, CaseIterable, Sendable {
    case stdin, stdout, stderr, error, resize

    var channel: UInt32 {
        switch self {
        case .stdin: 0
        case .stdout: 1
        case .stderr: 2
        case .error: 3
        case .resize: 4
        }
    }
}

enum StreamHeader {
    static let type = "streamtype"
    static let port = "port"
    static let requestID = "requestid"
    static let protocolVersion = "X-Stream-Protocol-Version"
    static let acceptedVersions = "X-Accepted-Stream-Protocol-Versions"
    static let spdy = "SPDY/3.1"
    static let portForward = "portforward.k8s.io"
    static let tunnel = "SPDY/3.1+portforward.k8s.io"
}
