internal import Core

struct ContainerValidation {
    let pod: Pod
    let container: Container
    let field: String
    let volumes: [String: Volume]
    /// An init container that is no sidecar: probes and lifecycle hooks make no sense on it.
    let runsToCompletion: Bool

    func validate(hostPorts: inout Set<String>) throws {
        try require(
            ValidationRules.isLabel(container.name), "\(field).name", container.name.prefix(120), "must be a DNS label")
        try require(
            !container.image.isEmpty && !container.image.contains(where: \.isWhitespace), "\(field).image",
            container.image.prefix(200), "must be an image reference")
        if runsToCompletion {
            for (name, present) in [
                ("livenessProbe", container.livenessProbe != nil), ("readinessProbe", container.readinessProbe != nil),
                ("startupProbe", container.startupProbe != nil), ("lifecycle", container.lifecycle != nil),
            ] where present {
                throw BerthError(
                    .invalidArgument,
                    "\(field).\(name) is not allowed on an init container without restartPolicy Always")
            }
        }
        try ports(&hostPorts)
        try environment()
        try resources()
        try VolumeValidation.mounts(of: container, in: volumes, field)
        try probe(container.livenessProbe, "livenessProbe", successMustBeOne: true)
        try probe(container.startupProbe, "startupProbe", successMustBeOne: true)
        try probe(container.readinessProbe, "readinessProbe", successMustBeOne: false)
        try handler(container.lifecycle?.postStart, "lifecycle.postStart")
        try handler(container.lifecycle?.preStop, "lifecycle.preStop")
        try security()
        if let path = container.terminationMessagePath {
            try require(
                path.hasPrefix("/") && !ValidationRules.hasParentReference(path), "\(field).terminationMessagePath",
                path.prefix(200), "must be absolute")
        }
    }

    private func ports(_ hostPorts: inout Set<String>) throws {
        var names: Set<String> = []
        for (index, port) in (container.ports ?? []).enumerated() {
            let field = "\(field).ports[\(index)]"
            try require(
                (1...65535).contains(port.containerPort), "\(field).containerPort", port.containerPort,
                "must be between 1 and 65535")
            if let name = port.name {
                try require(
                    ValidationRules.isLabel(name) && name.utf8.count <= 15, "\(field).name", name.prefix(64),
                    "must be at most 15 lower-case letters, digits and '-'")
                try require(names.insert(name).inserted, "\(field).name", name, "is used twice in this container")
            }
            if let address = port.hostIP, !address.isEmpty {
                try require(
                    ValidationRules.isAddress(address), "\(field).hostIP", address.prefix(64), "must be an IP address")
            }
            guard let hostPort = port.hostPort, hostPort != 0 else { continue }
            try require((1...65535).contains(hostPort), "\(field).hostPort", hostPort, "must be between 1 and 65535")
            if pod.usesHostNetwork {
                try require(
                    hostPort == port.containerPort, "\(field).hostPort", hostPort,
                    "must equal containerPort \(port.containerPort) with spec.hostNetwork")
            }
            let key = "\(port.protocol ?? .tcp) \(port.hostIP ?? "") \(hostPort)"
            try require(hostPorts.insert(key).inserted, "\(field).hostPort", hostPort, "is used twice in this pod")
        }
    }

    private func environment() throws {
        for (index, variable) in (container.env ?? []).enumerated() {
            let field = "\(field).env[\(index)]"
            try require(
                ValidationRules.isEnvironmentName(variable.name), "\(field).name", variable.name.prefix(120),
                "must be printable ASCII without '='")
            guard let source = variable.valueFrom else { continue }
            try require(
                (variable.value ?? "").isEmpty, "\(field).value", variable.value ?? "",
                "cannot be combined with valueFrom")
            for (name, present) in [
                ("configMapKeyRef", source.configMapKeyRef != nil), ("secretKeyRef", source.secretKeyRef != nil),
            ] where present {
                throw refuse(
                    "\(field).valueFrom.\(name)", because: "a standalone node has no API server to read it from")
            }
            try DownwardFields.validate(
                source.fieldRef, source.resourceFieldRef, field: "\(field).valueFrom", in: pod, container: container)
        }
    }

    private func resources() throws {
        let limits = container.resources?.limits ?? [:]
        let requests = container.resources?.requests ?? [:]
        for (kind, amounts) in [("limits", limits), ("requests", requests)] {
            for (name, amount) in amounts.sorted(by: { $0.key < $1.key }) {
                let field = "\(field).resources.\(kind).\(name)"
                try require(amount.billionths >= 0, field, amount, "must not be negative")
                guard ["cpu", "memory"].contains(name) else {
                    throw BerthError(
                        .unimplemented, "\(field) is not supported by berth-kubelet yet: known are cpu and memory")
                }
                if kind == "requests", let limit = limits[name] {
                    try require(
                        amount.billionths <= limit.billionths, field, amount, "must not exceed the limit \(limit)")
                }
            }
        }
    }

    private func probe(_ probe: Probe?, _ name: String, successMustBeOne: Bool) throws {
        guard let probe else { return }
        let field = "\(field).\(name)"
        let handlers = [probe.exec != nil, probe.httpGet != nil, probe.tcpSocket != nil].filter { $0 }.count
        guard handlers == 1 else {
            throw BerthError(
                .invalidArgument, "\(field) needs exactly one of exec, httpGet, tcpSocket, and has \(handlers)")
        }
        try exec(probe.exec, field)
        if let get = probe.httpGet { try http(get, "\(field).httpGet") }
        if let socket = probe.tcpSocket { try port(socket.port, "\(field).tcpSocket.port") }
        for (name, value, least) in [
            ("initialDelaySeconds", probe.initialDelaySeconds, 0), ("timeoutSeconds", probe.timeoutSeconds, 1),
            ("periodSeconds", probe.periodSeconds, 1), ("successThreshold", probe.successThreshold, 1),
            ("failureThreshold", probe.failureThreshold, 1),
        ] {
            guard let value else { continue }
            try require(value >= Int32(least), "\(field).\(name)", value, "must be at least \(least)")
        }
        if successMustBeOne, let threshold = probe.successThreshold {
            try require(threshold == 1, "\(field).successThreshold", threshold, "must be 1")
        }
        if let grace = probe.terminationGracePeriodSeconds {
            guard successMustBeOne else {
                throw BerthError(
                    .invalidArgument, "\(field).terminationGracePeriodSeconds is not allowed on a readiness probe")
            }
            try require(grace >= 1, "\(field).terminationGracePeriodSeconds", grace, "must be at least 1")
        }
    }

    private func handler(_ handler: LifecycleHandler?, _ name: String) throws {
        guard let handler else { return }
        let field = "\(field).\(name)"
        let handlers = [handler.exec != nil, handler.httpGet != nil, handler.sleep != nil].filter { $0 }.count
        guard handlers == 1 else {
            throw BerthError(
                .invalidArgument, "\(field) needs exactly one of exec, httpGet, sleep, and has \(handlers)")
        }
        try exec(handler.exec, field)
        if let get = handler.httpGet { try http(get, "\(field).httpGet") }
        if let sleep = handler.sleep {
            try require(
                (0...86400).contains(sleep.seconds), "\(field).sleep.seconds", sleep.seconds,
                "must be between 0 and 86400")
        }
    }

    private func exec(_ action: ExecAction?, _ field: String) throws {
        guard let action else { return }
        guard action.command?.isEmpty == false else {
            throw BerthError(.invalidArgument, "\(field).exec.command is required")
        }
    }

    private func http(_ action: HTTPGetAction, _ field: String) throws {
        try port(action.port, "\(field).port")
        for (index, header) in (action.httpHeaders ?? []).enumerated() {
            let allowed = header.name.utf8.allSatisfy {
                (0x21...0x7e).contains($0) && !"()<>@,;:\\\"/[]?={}".utf8.contains($0)
            }
            try require(
                !header.name.isEmpty && allowed, "\(field).httpHeaders[\(index)].name", header.name.prefix(120),
                "must be an HTTP header name")
            try require(
                header.value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 },
                "\(field).httpHeaders[\(index)].value",
                header.value.prefix(120), "must hold no control characters")
        }
    }

    private func port(_ port: IntOrString, _ field: String) throws {
        switch port {
        case .integer(let number):
            try require((1...65535).contains(number), field, number, "must be between 1 and 65535")
        case .string(let name):
            try require(
                container.ports?.contains { $0.name == name } == true, field, name.prefix(64),
                "is not the name of a port of this container")
        }
    }

    private func security() throws {
        guard let context = container.securityContext else { return }
        let field = "\(field).securityContext"
        for (name, id) in [("runAsUser", context.runAsUser), ("runAsGroup", context.runAsGroup)] {
            guard let id else { continue }
            try require(
                (0...Int64(Int32.max)).contains(id), "\(field).\(name)", id, "must be between 0 and \(Int32.max)")
        }
        try Self.profile(context.seccompProfile, "\(field).seccompProfile")
        try Self.profile(context.appArmorProfile, "\(field).appArmorProfile")
        for (kind, names) in [("add", context.capabilities?.add), ("drop", context.capabilities?.drop)] {
            for (index, name) in (names ?? []).enumerated() {
                try require(
                    !name.isEmpty && name.utf8.allSatisfy { (0x41...0x5a).contains($0) || $0 == 0x5f },
                    "\(field).capabilities.\(kind)[\(index)]", name.prefix(64), "must be a capability such as NET_ADMIN"
                )
            }
        }
        if context.allowPrivilegeEscalation == false {
            guard context.privileged != true, context.capabilities?.add?.contains("SYS_ADMIN") != true else {
                throw BerthError(
                    .invalidArgument,
                    "\(field).allowPrivilegeEscalation cannot be false in a privileged container or with SYS_ADMIN")
            }
        }
    }

    static func profile(_ profile: SecurityProfile?, _ field: String) throws {
        guard let profile else { return }
        switch (profile.type, profile.localhostProfile) {
        case (.localhost, nil), (.localhost, ""):
            throw BerthError(.invalidArgument, "\(field).localhostProfile is required with type Localhost")
        case (.localhost, let path?):
            try require(
                !ValidationRules.hasParentReference(path), "\(field).localhostProfile", path.prefix(200),
                "must not hold '..'")
        case (_, nil): break
        case (_, let path?):
            throw BerthError.invalid(
                field: "\(field).localhostProfile", value: path.prefix(200), rule: "is allowed with type Localhost only"
            )
        }
    }
}
