internal import Foundation

/// `/metrics` in Prometheus' text format; names as those of Kubernetes' kubelet where it has them.
enum KubeletMetrics {
    static func text(for pods: [Pod]) -> String {
        let statuses = pods.compactMap(\.status)
        let containers = pods.flatMap { pod in
            ((pod.status?.initContainerStatuses ?? []) + (pod.status?.containerStatuses ?? [])).map { (pod, $0) }
        }
        let states = containers.map { _, status in
            status.state.running != nil ? "running" : status.state.terminated != nil ? "exited" : "waiting"
        }
        var lines = [
            "# HELP kubelet_running_pods Number of pods in phase Running.", "# TYPE kubelet_running_pods gauge",
            "kubelet_running_pods \(statuses.count { $0.phase == .running })",
            "# HELP kubelet_running_containers Number of containers by state.",
            "# TYPE kubelet_running_containers gauge",
        ]
        for state in ["exited", "running", "waiting"] {
            lines.append("kubelet_running_containers{container_state=\"\(state)\"} \(states.count { $0 == state })")
        }
        lines += [
            "# HELP berth_kubelet_container_restarts_total Restarts of a container.",
            "# TYPE berth_kubelet_container_restarts_total counter",
        ]
        for (pod, status) in containers {
            let labels = "namespace=\"\(pod.namespace)\",pod=\"\(pod.metadata.name)\",container=\"\(status.name)\""
            lines.append("berth_kubelet_container_restarts_total{\(labels)} \(status.restartCount)")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
