internal import CRIAPI
private import Core
private import Terminal

/// Full IDs for the beginnings of IDs that people type.
extension Connection {
    func containerID(_ prefix: String) async throws -> String {
        guard prefix.count < 64 else { return prefix }
        let containers = try await listContainers(Runtime_V1_ContainerFilter())
        return try ListFilters.id(matching: prefix, among: containers.map(\.id), kind: "container")
    }

    func podID(_ prefix: String) async throws -> String {
        guard prefix.count < 64 else { return prefix }
        let pods = try await listPods(Runtime_V1_PodSandboxFilter())
        return try ListFilters.id(matching: prefix, among: pods.map(\.id), kind: "pod")
    }

    func listContainers(_ filter: Runtime_V1_ContainerFilter) async throws -> [Runtime_V1_Container] {
        try await doing("list containers") {
            try await runtime.listContainers(.with { $0.filter = filter }, options: Session.current.asking).containers
        }
    }

    func listPods(_ filter: Runtime_V1_PodSandboxFilter) async throws -> [Runtime_V1_PodSandbox] {
        try await doing("list pods") {
            try await runtime.listPodSandbox(.with { $0.filter = filter }, options: Session.current.asking).items
        }
    }

    func containerStatus(_ id: String, verbose: Bool = false) async throws -> Runtime_V1_ContainerStatusResponse {
        try await doing("status of container \(id)") {
            try await runtime.containerStatus(
                .with {
                    $0.containerID = id
                    $0.verbose = verbose
                }, options: Session.current.asking)
        }
    }

    func podStatus(_ id: String, verbose: Bool = false) async throws -> Runtime_V1_PodSandboxStatusResponse {
        try await doing("status of pod \(id)") {
            try await runtime.podSandboxStatus(
                .with {
                    $0.podSandboxID = id
                    $0.verbose = verbose
                }, options: Session.current.asking)
        }
    }

    func imageStatus(_ name: String, verbose: Bool = false) async throws -> Runtime_V1_ImageStatusResponse {
        try await doing("status of image \(name)") {
            try await images.imageStatus(
                .with {
                    $0.image.image = name
                    $0.verbose = verbose
                }, options: Session.current.asking)
        }
    }
}
