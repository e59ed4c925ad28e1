internal import Core

/// Rules of core/v1 that a decoded pod must keep, and refusals of what a standalone node cannot do.
enum PodValidation {
    static func validate(_ pod: Pod) throws {
        try metadata(pod.metadata)
        try podLevel(pod.spec)
        let volumes = try VolumeValidation.volumes(pod.spec.volumes ?? [])
        try require(!pod.spec.containers.isEmpty, "spec.containers", "", "must hold at least one container")
        var names: Set<String> = []
        var hostPorts: Set<String> = []
        for (folder, containers) in [("initContainers", pod.initContainers), ("containers", pod.spec.containers)] {
            for (index, container) in containers.enumerated() {
                let field = "spec.\(folder)[\(index)]"
                try require(
                    names.insert(container.name).inserted, "\(field).name", container.name, "is used twice in this pod")
                if folder == "containers", container.restartPolicy != nil {
                    throw BerthError(.invalidArgument, "\(field).restartPolicy is allowed on init containers only")
                }
                try ContainerValidation(
                    pod: pod, container: container, field: field, volumes: volumes,
                    runsToCompletion: folder == "initContainers" && !container.isSidecar
                ).validate(hostPorts: &hostPorts)
            }
        }
        for (index, volume) in (pod.spec.volumes ?? []).enumerated() {
            for (item, source) in (volume.downwardAPI?.items ?? []).enumerated() {
                let field = "spec.volumes[\(index)].downwardAPI.items[\(item)]"
                try DownwardFields.validate(
                    source.fieldRef, source.resourceFieldRef, field: field, in: pod, container: nil)
            }
        }
    }

    private static func metadata(_ metadata: ObjectMeta) throws {
        try require(
            ValidationRules.isSubdomain(metadata.name), "metadata.name", metadata.name.prefix(300),
            "must be a DNS subdomain: lower-case letters, digits, '-' and '.', at most 253 characters")
        let namespace = metadata.namespace ?? "default"
        try require(
            ValidationRules.isLabel(namespace), "metadata.namespace", namespace.prefix(120),
            "must be a DNS label: lower-case letters, digits and '-', at most 63 characters")
        for (key, value) in (metadata.labels ?? [:]).sorted(by: { $0.key < $1.key }) {
            try require(
                ValidationRules.isQualifiedName(key), "metadata.labels", key.prefix(120), "is not a valid label key")
            try require(
                ValidationRules.isLabelValue(value), "metadata.labels[\(key)]", value.prefix(120),
                "must be at most 63 letters, digits, '-', '_' or '.', and begin and end with a letter or digit")
        }
        for key in (metadata.annotations ?? [:]).keys.sorted() {
            try require(
                ValidationRules.isQualifiedName(key), "metadata.annotations", key.prefix(120),
                "is not a valid annotation key")
        }
    }

    private static func podLevel(_ spec: PodSpec) throws {
        if let grace = spec.terminationGracePeriodSeconds {
            try require(
                (0...86400 * 365).contains(grace), "spec.terminationGracePeriodSeconds", grace, "must not be negative")
        }
        for (field, name) in [("hostname", spec.hostname), ("subdomain", spec.subdomain)] {
            guard let name, !name.isEmpty else { continue }
            try require(ValidationRules.isLabel(name), "spec.\(field)", name.prefix(120), "must be a DNS label")
        }
        if spec.automountServiceAccountToken == true {
            throw refuse(
                "spec.automountServiceAccountToken", because: "a standalone node has no API server that issues tokens")
        }
        if spec.hostPID == true, spec.shareProcessNamespace == true {
            throw BerthError(.invalidArgument, "spec.shareProcessNamespace cannot be combined with spec.hostPID")
        }
        try dns(spec)
        for (index, alias) in (spec.hostAliases ?? []).enumerated() {
            let field = "spec.hostAliases[\(index)]"
            try require(
                ValidationRules.isAddress(alias.ip), "\(field).ip", alias.ip.prefix(64), "must be an IP address")
            for (item, name) in (alias.hostnames ?? []).enumerated() {
                try require(
                    ValidationRules.isSubdomain(name), "\(field).hostnames[\(item)]", name.prefix(120),
                    "must be a DNS subdomain")
            }
        }
        try security(spec)
    }

    private static func dns(_ spec: PodSpec) throws {
        let servers = spec.dnsConfig?.nameservers ?? []
        if spec.dnsPolicy == DNSPolicy.none, servers.isEmpty {
            throw BerthError(
                .invalidArgument,
                "spec.dnsConfig.nameservers must hold at least one address when spec.dnsPolicy is None")
        }
        try require(servers.count <= 3, "spec.dnsConfig.nameservers", servers.count, "must hold at most 3 addresses")
        for (index, server) in servers.enumerated() {
            try require(
                ValidationRules.isAddress(server), "spec.dnsConfig.nameservers[\(index)]", server.prefix(64),
                "must be an IP address")
        }
        for (index, search) in (spec.dnsConfig?.searches ?? []).enumerated() {
            let name = search.hasSuffix(".") ? String(search.dropLast()) : search
            try require(
                search == "." || ValidationRules.isSubdomain(name.replacing("_", with: "a")),
                "spec.dnsConfig.searches[\(index)]", search.prefix(120), "must be a DNS subdomain")
        }
        for (index, option) in (spec.dnsConfig?.options ?? []).enumerated() {
            let text = option.name + (option.value ?? "")
            try require(
                !option.name.isEmpty && !text.contains(where: \.isWhitespace), "spec.dnsConfig.options[\(index)].name",
                option.name.prefix(64), "must be a word without spaces")
        }
    }

    private static func security(_ spec: PodSpec) throws {
        guard let context = spec.securityContext else { return }
        let field = "spec.securityContext"
        let groups = (context.supplementalGroups ?? []).enumerated().map {
            ("supplementalGroups[\($0)]", Int64?.some($1))
        }
        for (name, id) in [
            ("runAsUser", context.runAsUser), ("runAsGroup", context.runAsGroup), ("fsGroup", context.fsGroup),
        ] + groups {
            guard let id else { continue }
            try require(
                (0...Int64(Int32.max)).contains(id), "\(field).\(name)", id, "must be between 0 and \(Int32.max)")
        }
        try ContainerValidation.profile(context.seccompProfile, "\(field).seccompProfile")
        try ContainerValidation.profile(context.appArmorProfile, "\(field).appArmorProfile")
        var seen: Set<String> = []
        for (index, sysctl) in (context.sysctls ?? []).enumerated() {
            let name = "\(field).sysctls[\(index)].name"
            try require(
                ValidationRules.isSysctlName(sysctl.name), name, sysctl.name.prefix(120), "is not a sysctl name")
            try require(seen.insert(sysctl.name).inserted, name, sysctl.name, "is set twice")
            if spec.hostNetwork == true, sysctl.name.hasPrefix("net.") || sysctl.name.hasPrefix("net/") {
                throw BerthError.invalid(field: name, value: sysctl.name, rule: "cannot be set with spec.hostNetwork")
            }
        }
    }
}
