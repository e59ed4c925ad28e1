internal import CRIAPI
internal import Foundation

extension Pod {
    /// Guaranteed where every container limits CPU and memory and requests just that; best effort where none asks for
    /// anything; else burstable.
    var qosClass: QoSClass {
        let asked = allContainers.contains { container in
            let amounts =
                Array((container.resources?.requests ?? [:]).values)
                + Array((container.resources?.limits ?? [:]).values)
            return amounts.contains { $0.billionths > 0 }
        }
        guard asked else { return .bestEffort }
        let guaranteed = allContainers.allSatisfy { container in
            ["cpu", "memory"].allSatisfy { name in
                guard let limit = container.resources?.limits?[name], limit.billionths > 0 else { return false }
                return container.resources?.requests?[name]?.billionths == limit.billionths
            }
        }
        return guaranteed ? .guaranteed : .burstable
    }
}

/// Kubernetes' amounts as cgroup values.
enum PodResources {
    /// - Parameter nodeMemory: bytes; a burstable container is the likelier victim the less of it it requests.
    static func linux(_ container: Container, qos: QoSClass, nodeMemory: Int64) -> Runtime_V1_LinuxContainerResources {
        var resources = linux(container.resources)
        resources.oomScoreAdj = oomScore(container, qos: qos, nodeMemory: nodeMemory)
        return resources
    }

    /// Sum over the app containers and sidecars, or the largest init container on top of the sidecars before it, if that is more.
    static func linux(_ pod: Pod) -> Runtime_V1_LinuxContainerResources {
        var total = ResourceRequirements()
        total.requests = sum(pod, \.requests, onlyIfAllSet: false)
        total.limits = sum(pod, \.limits, onlyIfAllSet: true)
        return linux(total)
    }

    private static func linux(_ requirements: ResourceRequirements?) -> Runtime_V1_LinuxContainerResources {
        .with {
            $0.cpuShares = shares(requirements?.requests?["cpu"])
            if let limit = requirements?.limits?["cpu"], limit.billionths > 0 {
                $0.cpuPeriod = 100_000
                // The kernel takes no quota below one millisecond.
                $0.cpuQuota = max(limit.roundedUp(to: 10_000), 1000)
            }
            $0.memoryLimitInBytes = max(requirements?.limits?["memory"]?.units ?? 0, 0)
        }
    }

    static func shares(_ request: Quantity?) -> Int64 {
        guard let request else { return 2 }
        return min(max(request.thousandths.multipliedClamping(by: 1024) / 1000, 2), 262_144)
    }

    static func oomScore(_ container: Container, qos: QoSClass, nodeMemory: Int64) -> Int64 {
        switch qos {
        case .guaranteed: return -997
        case .bestEffort: return 1000
        case .burstable:
            let request = container.resources?.requests?["memory"]?.units ?? 0
            let score = 1000 - Int64((Double(request) * 1000 / Double(max(nodeMemory, 1))).rounded(.down))
            return min(max(score, 3), 999)
        }
    }

    private static func sum(
        _ pod: Pod, _ kind: KeyPath<ResourceRequirements, [String: Quantity]?>, onlyIfAllSet: Bool
    ) -> [String: Quantity] {
        var result: [String: Quantity] = [:]
        for name in ["cpu", "memory"] {
            func amount(_ container: Container) -> Int128? { container.resources?[keyPath: kind]?[name]?.billionths }
            if onlyIfAllSet, pod.allContainers.contains(where: { (amount($0) ?? 0) == 0 }) { continue }
            var sidecars: Int128 = 0
            var peak: Int128 = 0
            for container in pod.initContainers {
                if container.isSidecar {
                    sidecars += amount(container) ?? 0
                } else {
                    peak = max(peak, sidecars + (amount(container) ?? 0))
                }
            }
            let running = sidecars + pod.spec.containers.reduce(0) { $0 + (amount($1) ?? 0) }
            if max(running, peak) > 0 { result[name] = Quantity(billionths: max(running, peak)) }
        }
        return result
    }
}

extension Int64 {
    fileprivate func multipliedClamping(by factor: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}

/// Cgroup of a pod: the runtime makes it, with the container's own below it.
enum PodCgroup {
    /// - Returns: the `cgroup_parent` for the CRI: a path for cgroupfs, a slice for systemd.
    static func parent(uid: String, qos: QoSClass, driver: Runtime_V1_CgroupDriver, root: String) -> String {
        let classes = folder(qos)
        if driver == .systemd {
            let prefix = root.split(separator: "/").map(String.init)
            let unit = (prefix + ["kubepods"] + classes + ["pod" + uid.replacing("-", with: "_")]).joined(
                separator: "-")
            return "\(unit).slice"
        }
        return "/"
            + (root.split(separator: "/").map(String.init) + ["kubepods"] + classes + ["pod\(uid)"]).joined(
                separator: "/")
    }

    private static func folder(_ qos: QoSClass) -> [String] {
        switch qos {
        case .guaranteed: []
        case .burstable: ["burstable"]
        case .bestEffort: ["besteffort"]
        }
    }
}
