internal import Core
internal import OCISpec
internal import SystemPackage

/// A pod on a CNI network, as cached from before ADD until after DEL: DEL and CHECK use the configuration that ADD used.
struct CNIAttachment: Codable, Equatable, Sendable {
    /// Of this record.
    var recordVersion = 1
    var podID: String
    var interfaceName: String
    var networkNamespace: String
    /// `CNI_ARGS`: `K=V;K=V`.
    var arguments: String
    /// Values of capabilities, by capability, in the order of their names.
    var runtimeConfig: [JSONValue.Member]
    var networkName: String
    var cniVersion: String
    /// Text and path of the configuration.
    var configuration: String
    var configurationPath: String
    /// The result of the last plugin; `nil` until ADD succeeded.
    var result: JSONValue?

    init(_ request: PodNetworkRequest, configuration: CNIConfiguration, version: CNIVersion) throws {
        podID = request.podID
        interfaceName = request.interfaceName
        networkNamespace = request.networkNamespace.string
        arguments = try Self.arguments(request)
        runtimeConfig = Self.runtimeConfig(request)
        networkName = configuration.name
        cniVersion = version.description
        self.configuration = configuration.source
        configurationPath = configuration.path
    }

    /// `CNI_ARGS` as Kubernetes' plugins know them. The value list has no quoting.
    private static func arguments(_ request: PodNetworkRequest) throws -> String {
        let pairs = [
            ("K8S_POD_NAMESPACE", request.namespace), ("K8S_POD_NAME", request.name),
            ("K8S_POD_INFRA_CONTAINER_ID", request.podID), ("K8S_POD_UID", request.uid),
        ]
        for (key, value) in pairs where value.contains(where: { $0 == ";" || $0 == "=" }) {
            throw BerthError.invalid(field: key, value: value.prefix(80), rule: "must have no ; and no =")
        }
        return (["IgnoreUnknown=1"] + pairs.filter { !$0.1.isEmpty }.map { "\($0.0)=\($0.1)" }).joined(separator: ";")
    }

    /// CNI conventions, "Dynamic plugin specific fields (capabilities / runtime configuration)".
    private static func runtimeConfig(_ request: PodNetworkRequest) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        let ports = request.portMappings.filter { $0.hostPort != 0 }
        if !ports.isEmpty {
            members.append(
                .init(
                    "portMappings",
                    .array(
                        ports.map { port in
                            .object(
                                [
                                    .init("hostPort", .number("\(port.hostPort)")),
                                    .init("containerPort", .number("\(port.containerPort)")),
                                    .init("protocol", .string(port.protocol.rawValue)),
                                ] + (port.hostIP.map { [.init("hostIP", .string("\($0)"))] } ?? []))
                        })))
        }
        if let bandwidth = request.bandwidth {
            let rates = [
                ("ingressRate", bandwidth.ingressRate), ("ingressBurst", bandwidth.ingressBurst),
                ("egressRate", bandwidth.egressRate), ("egressBurst", bandwidth.egressBurst),
            ]
            members.append(
                .init(
                    "bandwidth",
                    .object(rates.compactMap { key, rate in rate.map { .init(key, .number("\($0)")) } })))
        }
        if !request.dns.isEmpty {
            func list(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }
            members.append(
                .init(
                    "dns",
                    .object([
                        .init("servers", list(request.dns.servers)), .init("searches", list(request.dns.searches)),
                        .init("options", list(request.dns.options)),
                    ])))
        }
        if !request.ipRanges.isEmpty {
            members.append(.init("ipRanges", .array(request.ipRanges.map { .array($0.map(range)) })))
        }
        if let path = request.cgroupPath { members.append(.init("cgroupPath", .string(path))) }
        return members.sorted { $0.key < $1.key }
    }

    private static func range(_ range: AddressRange) -> JSONValue {
        let fields: [(String, String?)] = [
            ("subnet", "\(range.subnet)"), ("rangeStart", range.rangeStart?.description),
            ("rangeEnd", range.rangeEnd?.description), ("gateway", range.gateway?.description),
        ]
        return .object(fields.compactMap { key, value in value.map { .init(key, .string($0)) } })
    }
}

extension CNIAttachment {
    private enum CodingKeys: String, CodingKey {
        case recordVersion = "version"
        case podID, interfaceName, networkNamespace, arguments, runtimeConfig, networkName, cniVersion, configuration
        case configurationPath, result
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        recordVersion = try container.decode(Int.self, forKey: .recordVersion)
        podID = try container.decode(String.self, forKey: .podID)
        interfaceName = try container.decode(String.self, forKey: .interfaceName)
        networkNamespace = try container.decode(String.self, forKey: .networkNamespace)
        arguments = try container.decode(String.self, forKey: .arguments)
        networkName = try container.decode(String.self, forKey: .networkName)
        cniVersion = try container.decode(String.self, forKey: .cniVersion)
        configuration = try container.decode(String.self, forKey: .configuration)
        configurationPath = try container.decode(String.self, forKey: .configurationPath)
        result = try container.decodeIfPresent(JSONValue.self, forKey: .result)
        guard case .object(let members) = try container.decode(JSONValue.self, forKey: .runtimeConfig) else {
            throw BerthError(.dataLoss, "runtimeConfig must be an object")
        }
        runtimeConfig = members
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(recordVersion, forKey: .recordVersion)
        try container.encode(podID, forKey: .podID)
        try container.encode(interfaceName, forKey: .interfaceName)
        try container.encode(networkNamespace, forKey: .networkNamespace)
        try container.encode(arguments, forKey: .arguments)
        try container.encode(JSONValue.object(runtimeConfig), forKey: .runtimeConfig)
        try container.encode(networkName, forKey: .networkName)
        try container.encode(cniVersion, forKey: .cniVersion)
        try container.encode(configuration, forKey: .configuration)
        try container.encode(configurationPath, forKey: .configurationPath)
        try container.encodeIfPresent(result, forKey: .result)
    }
}
