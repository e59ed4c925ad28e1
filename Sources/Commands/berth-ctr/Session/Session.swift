internal import Core
private import Foundation
internal import GRPCCore
private import Terminal

/// Where to connect and how, out of options and environment, in this order.
struct Session: Sendable {
    var address = "/run/berth/berth.sock"
    var namespace = "default"
    /// For each call; `nil` for as long as it takes.
    var timeout: Duration?
    var isDebug = false
    /// Objects made under a lease are safe from garbage collection until it is gone.
    var lease: String?

    @TaskLocal static var current = Session()
}

extension Session {
    init(_ options: GlobalOptions) throws {
        let environment = ProcessInfo.processInfo.environment
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

        if let given = options.address ?? variable("CONTAINERD_ADDRESS") {
            address = given.hasPrefix("unix://") ? String(given.dropFirst(7)) : given
        }
        if let given = options.namespace ?? variable("CONTAINERD_NAMESPACE") { namespace = given }
        try Identifier.validate(namespace, field: "namespace")
        if let text = options.timeout {
            let given = try DurationText.parse(text, field: "--timeout")
            if given > .zero { timeout = given }
        }
        isDebug = options.isDebug
    }

    var callOptions: CallOptions {
        var options = CallOptions.defaults
        options.maxResponseMessageBytes = 64 << 20
        options.timeout = timeout
        return options
    }
}
