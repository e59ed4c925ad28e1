internal import Core

/// Values that a pod can read about itself (downward API): through environment variables and volumes.
struct DownwardFields {
    let pod: Pod
    let podIPs: [String]
    let hostIP: String
    let nodeName: String
    /// What a limit resolves to where a container has none.
    let nodeCPUs: Int
    let nodeMemory: Int64

    private static let plain: Set<String> = [
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs",
    ]
    private static let resources: Set<String> = ["limits.cpu", "limits.memory", "requests.cpu", "requests.memory"]

    /// - Parameter container: the container whose variable it is; `nil` in a volume, where whole label maps are allowed
    ///   and a resource must name its container.
    static func validate(
        _ field: FieldReference?, _ resource: ResourceFieldReference?, field path: String, in pod: Pod,
        container: Container?
    ) throws {
        guard (field == nil) != (resource == nil) else {
            throw BerthError(.invalidArgument, "\(path) needs exactly one of fieldRef, resourceFieldRef")
        }
        if let field {
            if let version = field.apiVersion {
                try require(version == "v1", "\(path).fieldRef.apiVersion", version.prefix(64), "must be v1")
            }
            let whole = container == nil && ["metadata.labels", "metadata.annotations"].contains(field.fieldPath)
            let status = field.fieldPath.hasPrefix("status.") || field.fieldPath.hasPrefix("spec.")
            let known = plain.contains(field.fieldPath) && !(container == nil && status)
            try require(
                known || whole || subscriptKey(field.fieldPath) != nil, "\(path).fieldRef.fieldPath",
                field.fieldPath.prefix(200),
                "must be a field such as metadata.name, metadata.labels['KEY'] or (in env) status.podIP")
        }
        if let resource {
            try require(
                resources.contains(resource.resource), "\(path).resourceFieldRef.resource",
                resource.resource.prefix(64),
                "must be one of \(resources.sorted().joined(separator: ", "))")
            if let divisor = resource.divisor {
                try require(
                    divisor.billionths >= 0, "\(path).resourceFieldRef.divisor", divisor, "must not be negative")
            }
            let name = resource.containerName ?? ""
            guard container == nil || !name.isEmpty else { return }
            try require(
                pod.container(named: name) != nil, "\(path).resourceFieldRef.containerName", name.prefix(120),
                "is not a container of this pod")
        }
    }

    /// The map and key of `metadata.labels['KEY']`.
    private static func subscriptKey(_ path: String) -> (map: String, key: String)? {
        for map in ["metadata.labels", "metadata.annotations"] {
            guard path.hasPrefix("\(map)['"), path.hasSuffix("']"), path.count > map.count + 4 else { continue }
            return (map, String(path.dropFirst(map.count + 2).dropLast(2)))
        }
        return nil
    }

    func value(of reference: FieldReference) -> String {
        switch reference.fieldPath {
        case "metadata.name": return pod.metadata.name
        case "metadata.namespace": return pod.namespace
        case "metadata.uid": return pod.uid
        case "spec.nodeName": return nodeName
        case "spec.serviceAccountName": return "default"
        case "status.podIP": return podIPs.first ?? ""
        case "status.podIPs": return podIPs.joined(separator: ",")
        case "status.hostIP", "status.hostIPs": return hostIP
        case "metadata.labels": return Self.formatted(pod.metadata.labels ?? [:])
        case "metadata.annotations": return Self.formatted(pod.metadata.annotations ?? [:])
        default:
            guard let (map, key) = Self.subscriptKey(reference.fieldPath) else { return "" }
            return (map == "metadata.labels" ? pod.metadata.labels : pod.metadata.annotations)?[key] ?? ""
        }
    }

    /// The amount divided by the divisor, rounded up; a missing limit is what the node has.
    func value(of reference: ResourceFieldReference, in container: Container?) -> String {
        let target = reference.containerName.flatMap { $0.isEmpty ? nil : pod.container(named: $0) } ?? container
        let isCPU = reference.resource.hasSuffix("cpu")
        let name = isCPU ? "cpu" : "memory"
        let amounts = reference.resource.hasPrefix("limits") ? target?.resources?.limits : target?.resources?.requests
        var billionths = amounts?[name]?.billionths ?? 0
        if billionths == 0, reference.resource.hasPrefix("limits") {
            billionths = Int128(isCPU ? Int64(nodeCPUs) : nodeMemory) * 1_000_000_000
        }
        var divisor = reference.divisor?.billionths ?? 0
        if divisor <= 0 { divisor = 1_000_000_000 }
        let (whole, rest) = billionths.quotientAndRemainder(dividingBy: divisor)
        return "\(rest > 0 ? whole + 1 : whole)"
    }

    /// `key="escaped value"` lines, sorted, as Kubernetes writes maps into downward API files.
    private static func formatted(_ map: [String: String]) -> String {
        map.sorted { $0.key < $1.key }.map { key, value in
            let escaped = value.unicodeScalars.reduce(into: "") { text, scalar in
                switch scalar {
                case "\\": text += "\\\\"
                case "\"": text += "\\\""
                case "\n": text += "\\n"
                case "\t": text += "\\t"
                case "\r": text += "\\r"
                default: text.unicodeScalars.append(scalar)
                }
            }
            return "\(key)=\"\(escaped)\""
        }.joined(separator: "\n")
    }
}
