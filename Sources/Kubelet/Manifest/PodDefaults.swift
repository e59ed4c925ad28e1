extension Pod {
    /// Fills in what the API server would (Kubernetes API reference, core/v1 defaults).
    mutating func applyDefaults() {
        metadata.namespace = metadata.namespace ?? "default"
        spec.restartPolicy = spec.restartPolicy ?? .always
        spec.terminationGracePeriodSeconds = spec.terminationGracePeriodSeconds ?? 30
        spec.dnsPolicy = spec.dnsPolicy ?? .clusterFirst
        let host = usesHostNetwork
        spec.containers = spec.containers.map { $0.withDefaults(hostNetwork: host) }
        spec.initContainers = spec.initContainers.map { $0.map { $0.withDefaults(hostNetwork: host) } }
        spec.volumes = spec.volumes.map { volumes in
            volumes.map { volume in
                var volume = volume
                if let source = volume.downwardAPI, source.defaultMode == nil {
                    volume.downwardAPI?.defaultMode = 0o644
                }
                return volume
            }
        }
    }
}

extension Container {
    fileprivate func withDefaults(hostNetwork: Bool) -> Container {
        var container = self
        container.imagePullPolicy = imagePullPolicy ?? (Container.followsLatest(image) ? .always : .ifNotPresent)
        container.terminationMessagePath = terminationMessagePath ?? "/dev/termination-log"
        container.terminationMessagePolicy = terminationMessagePolicy ?? .file
        container.ports = ports.map { ports in
            ports.map { port in
                var port = port
                port.protocol = port.protocol ?? .tcp
                if hostNetwork { port.hostPort = port.hostPort ?? port.containerPort }
                return port
            }
        }
        // A limit without a request is also the request.
        if let limits = resources?.limits {
            container.resources?.requests = limits.merging(resources?.requests ?? [:]) { _, request in request }
        }
        container.livenessProbe = livenessProbe?.withDefaults()
        container.readinessProbe = readinessProbe?.withDefaults()
        container.startupProbe = startupProbe?.withDefaults()
        return container
    }

    /// Whether a reference has the tag `latest` or neither tag nor digest.
    private static func followsLatest(_ image: String) -> Bool {
        guard !image.contains("@") else { return false }
        let last = image.split(separator: "/").last ?? ""
        guard let colon = last.firstIndex(of: ":") else { return true }
        return last[last.index(after: colon)...] == "latest"
    }
}

extension Probe {
    fileprivate func withDefaults() -> Probe {
        var probe = self
        probe.initialDelaySeconds = initialDelaySeconds ?? 0
        probe.timeoutSeconds = timeoutSeconds ?? 1
        probe.periodSeconds = periodSeconds ?? 10
        probe.successThreshold = successThreshold ?? 1
        probe.failureThreshold = failureThreshold ?? 3
        return probe
    }
}
