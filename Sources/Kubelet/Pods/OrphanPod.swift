internal import CRIAPI
internal import Foundation

extension Pod {
    /// As much of a pod as its sandbox and containers tell, enough to stop it in order; `nil` for what no kubelet made.
    init?(orphan sandbox: Runtime_V1_PodSandbox, containers: [Runtime_V1_Container]) {
        guard let name = sandbox.labels[PodLabel.podName], let namespace = sandbox.labels[PodLabel.podNamespace],
            let uid = sandbox.labels[PodLabel.podUID], ValidationRules.isSubdomain(name),
            ValidationRules.isLabel(namespace), ValidationRules.isLabel(uid)
        else { return nil }
        var main: [String: Container] = [:]
        var sidecars: [Int: Container] = [:]
        var grace: Int64 = 30
        for instance in containers {
            guard let name = instance.labels[PodLabel.container], ValidationRules.isLabel(name) else { continue }
            var container = Container(name: name, image: instance.image.image)
            if let text = instance.annotations[PodLabel.preStop],
                let hook = try? JSONDecoder().decode(LifecycleHandler.self, from: Data(text.utf8))
            {
                container.lifecycle = Lifecycle(preStop: hook)
            }
            if let seconds = instance.annotations[PodLabel.gracePeriod].flatMap(Int64.init) { grace = max(seconds, 0) }
            if let index = instance.annotations[PodLabel.sidecarIndex].flatMap(Int.init) {
                container.restartPolicy = .always
                sidecars[index] = container
            } else {
                main[name] = container
            }
        }
        self.init(
            apiVersion: "v1", kind: "Pod",
            metadata: ObjectMeta(name: name, namespace: namespace, uid: uid, labels: nil, annotations: nil),
            spec: PodSpec(
                containers: main.values.sorted { $0.name < $1.name },
                initContainers: sidecars.sorted { $0.key < $1.key }.map(\.value), restartPolicy: .never,
                terminationGracePeriodSeconds: grace))
    }
}
