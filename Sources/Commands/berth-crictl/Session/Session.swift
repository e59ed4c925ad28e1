internal import Core
private import Foundation
internal import GRPCCore
internal import Terminal

/// Where to connect and how, out of options, environment and configuration file, in this order.
struct Session: Sendable {
    var runtimeSocket = "/run/berth/berth.sock"
    var imageSocket = "/run/berth/berth.sock"
    /// For connecting and for calls that only ask.
    var timeout = Duration.seconds(2)
    var isDebug = false
    var pullsOnCreate = false
    var pullsOnRun = true

    @TaskLocal static var current = Session()
}

extension Session {
    private static let defaultConfiguration = "/etc/crictl.yaml"

    init(_ options: GlobalOptions) throws {
        let environment = ProcessInfo.processInfo.environment
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

        let chosenFile = options.config ?? variable("CRI_CONFIG_FILE")
        let file = try Self.configuration(chosenFile)

        let runtime =
            options.runtimeEndpoint ?? variable("CONTAINER_RUNTIME_ENDPOINT") ?? file["runtime-endpoint"]?.text
        if let runtime { runtimeSocket = try Self.socket(runtime, field: "runtime endpoint") }
        // Who names a runtime means its images too, whatever the file says of another one's.
        let image =
            options.imageEndpoint ?? variable("IMAGE_SERVICE_ENDPOINT")
            ?? (options.runtimeEndpoint == nil ? file["image-endpoint"]?.text : nil)
        imageSocket = try image.map { try Self.socket($0, field: "image endpoint") } ?? runtimeSocket

        if let text = options.timeout ?? file["timeout"]?.text {
            let given = try DurationText.parse(text, field: "timeout")
            if given > .zero { timeout = given }
        }
        isDebug = options.isDebug || file["debug"]?.text == "true"
        pullsOnCreate = file["pull-image-on-create"]?.text == "true"
        pullsOnRun = file["disable-pull-on-run"]?.text != "true"
    }

    private static func configuration(_ chosen: String?) throws -> JSONValue {
        let path = chosen ?? defaultConfiguration
        guard FileManager.default.fileExists(atPath: path) else {
            guard chosen == nil else { throw BerthError(.notFound, "configuration \(path) does not exist") }
            return .object([])
        }
        do {
            let value = try JSONValue(parsingYAML: ConfigurationFile.text(at: path))
            if value == .null { return .object([]) }
            guard case .object = value else {
                throw BerthError(.invalidArgument, "it must be a mapping, not \(value.kind)")
            }
            return value
        } catch {
            throw BerthError.wrapping(error, "configuration \(path)")
        }
    }

    /// The path of a `unix://` endpoint; a plain path does too.
    static func socket(_ endpoint: String, field: String) throws -> String {
        if endpoint.hasPrefix("unix://") {
            let path = String(endpoint.dropFirst(7))
            if path.hasPrefix("/") { return path }
        } else if endpoint.hasPrefix("unix:/") {
            return String(endpoint.dropFirst(5))
        } else if endpoint.hasPrefix("/") {
            return endpoint
        }
        throw BerthError.invalid(field: field, value: endpoint, rule: "must be unix:///PATH or /PATH")
    }

    /// Calls that ask and answer at once.
    var asking: CallOptions {
        var options = acting
        options.timeout = timeout
        return options
    }

    /// Calls that may take as long as they need.
    var acting: CallOptions { acting(within: nil) }

    func acting(within limit: Duration?) -> CallOptions {
        var options = CallOptions.defaults
        // ExecSync's output may be 16 MiB, and lists grow with the node.
        options.maxResponseMessageBytes = 64 << 20
        if let limit, limit > .zero { options.timeout = limit }
        return options
    }
}

extension JSONValue {
    fileprivate var text: String? {
        switch self {
        case .string(let text): text.isEmpty ? nil : text
        case .number(let digits): digits
        case .bool(let value): value ? "true" : "false"
        default: nil
        }
    }
}
