public import CRIAPI
internal import Core
public import GRPCCore

/// `ContainerRuntime` over gRPC: any CRI v1 runtime.
public struct CRIRuntimeClient<Transport: ClientTransport>: ContainerRuntime {
    private let runtime: Runtime_V1_RuntimeService.Client<Transport>
    private let images: Runtime_V1_ImageService.Client<Transport>

    /// Seconds that a call may take beyond what it asks the runtime to wait for.
    private static var patience: Int64 { 120 }

    public init(_ client: GRPCClient<Transport>) {
        runtime = Runtime_V1_RuntimeService.Client(wrapping: client)
        images = Runtime_V1_ImageService.Client(wrapping: client)
    }

    private func call<Result>(
        _ name: String, timeout: Int64? = patience, _ body: (CallOptions) async throws -> Result
    ) async throws -> Result {
        var options = CallOptions.defaults
        options.timeout = timeout.map { .seconds($0) }
        // The agent has back-offs of its own, and waits for a runtime that restarts.
        options.waitForReady = false
        do {
            return try await body(options)
        } catch let error as RPCError {
            throw BerthError(BerthError.Code(error.code), "\(name): \(error.message)")
        }
    }

    public func version() async throws -> Runtime_V1_VersionResponse {
        try await call("Version") { options in
            try await runtime.version(.with { $0.version = "v1" }, options: options)
        }
    }

    public func status() async throws -> Runtime_V1_RuntimeStatus {
        try await call("Status") { options in
            try await runtime.status(Runtime_V1_StatusRequest(), options: options).status
        }
    }

    public func cgroupDriver() async throws -> Runtime_V1_CgroupDriver? {
        do {
            let response = try await call("RuntimeConfig") { options in
                try await runtime.runtimeConfig(Runtime_V1_RuntimeConfigRequest(), options: options)
            }
            return response.hasLinux ? response.linux.cgroupDriver : nil
        } catch let error as BerthError where error.code == .unimplemented {
            return nil
        }
    }

    public func runPodSandbox(_ config: Runtime_V1_PodSandboxConfig) async throws -> String {
        try await call("RunPodSandbox") { options in
            try await runtime.runPodSandbox(.with { $0.config = config }, options: options).podSandboxID
        }
    }

    public func stopPodSandbox(_ id: String) async throws {
        _ = try await call("StopPodSandbox") { options in
            try await runtime.stopPodSandbox(.with { $0.podSandboxID = id }, options: options)
        }
    }

    public func removePodSandbox(_ id: String) async throws {
        _ = try await call("RemovePodSandbox") { options in
            try await runtime.removePodSandbox(.with { $0.podSandboxID = id }, options: options)
        }
    }

    public func podSandboxStatus(_ id: String) async throws -> Runtime_V1_PodSandboxStatus {
        try await call("PodSandboxStatus") { options in
            try await runtime.podSandboxStatus(.with { $0.podSandboxID = id }, options: options).status
        }
    }

    public func listPodSandboxes(labels: [String: String]) async throws -> [Runtime_V1_PodSandbox] {
        try await call("ListPodSandbox") { options in
            try await runtime.listPodSandbox(.with { $0.filter.labelSelector = labels }, options: options).items
        }
    }

    public func createContainer(
        in sandbox: String, _ config: Runtime_V1_ContainerConfig, sandboxConfig: Runtime_V1_PodSandboxConfig
    ) async throws -> String {
        let request = Runtime_V1_CreateContainerRequest.with {
            $0.podSandboxID = sandbox
            $0.config = config
            $0.sandboxConfig = sandboxConfig
        }
        return try await call("CreateContainer") { options in
            try await runtime.createContainer(request, options: options).containerID
        }
    }

    public func startContainer(_ id: String) async throws {
        _ = try await call("StartContainer") { options in
            try await runtime.startContainer(.with { $0.containerID = id }, options: options)
        }
    }

    public func stopContainer(_ id: String, timeout: Int64) async throws {
        let request = Runtime_V1_StopContainerRequest.with {
            $0.containerID = id
            $0.timeout = timeout
        }
        _ = try await call("StopContainer", timeout: timeout + Self.patience) { options in
            try await runtime.stopContainer(request, options: options)
        }
    }

    public func removeContainer(_ id: String) async throws {
        _ = try await call("RemoveContainer") { options in
            try await runtime.removeContainer(.with { $0.containerID = id }, options: options)
        }
    }

    public func listContainers(labels: [String: String]) async throws -> [Runtime_V1_Container] {
        try await call("ListContainers") { options in
            try await runtime.listContainers(.with { $0.filter.labelSelector = labels }, options: options).containers
        }
    }

    public func containerStatus(_ id: String) async throws -> Runtime_V1_ContainerStatus {
        try await call("ContainerStatus") { options in
            try await runtime.containerStatus(.with { $0.containerID = id }, options: options).status
        }
    }

    public func execSync(_ id: String, command: [String], timeout: Int64) async throws -> Runtime_V1_ExecSyncResponse {
        let request = Runtime_V1_ExecSyncRequest.with {
            $0.containerID = id
            $0.cmd = command
            $0.timeout = timeout
        }
        return try await call("ExecSync", timeout: timeout == 0 ? nil : timeout + Self.patience) { options in
            try await runtime.execSync(request, options: options)
        }
    }

    public func reopenContainerLog(_ id: String) async throws {
        _ = try await call("ReopenContainerLog") { options in
            try await runtime.reopenContainerLog(.with { $0.containerID = id }, options: options)
        }
    }

    public func imageStatus(_ reference: String) async throws -> Runtime_V1_Image? {
        let response = try await call("ImageStatus") { options in
            try await images.imageStatus(.with { $0.image.image = reference }, options: options)
        }
        return response.hasImage && !response.image.id.isEmpty ? response.image : nil
    }

    public func pullImage(_ reference: String, sandboxConfig: Runtime_V1_PodSandboxConfig) async throws -> String {
        let request = Runtime_V1_PullImageRequest.with {
            $0.image.image = reference
            $0.image.userSpecifiedImage = reference
            $0.sandboxConfig = sandboxConfig
        }
        // A pull takes as long as it takes; the runtime gives up on one that makes no progress.
        return try await call("PullImage", timeout: nil) { options in
            try await images.pullImage(request, options: options).imageRef
        }
    }
}

extension BerthError.Code {
    /// The other direction of the servers' mapping, which keeps names equal on both sides.
    init(_ code: RPCError.Code) {
        switch code {
        case .invalidArgument, .outOfRange: self = .invalidArgument
        case .notFound: self = .notFound
        case .alreadyExists: self = .alreadyExists
        case .failedPrecondition: self = .failedPrecondition
        case .permissionDenied: self = .permissionDenied
        case .unauthenticated: self = .unauthenticated
        case .resourceExhausted: self = .resourceExhausted
        case .deadlineExceeded: self = .deadlineExceeded
        case .cancelled: self = .cancelled
        case .unavailable: self = .unavailable
        case .unimplemented: self = .unimplemented
        case .aborted: self = .aborted
        case .dataLoss: self = .dataLoss
        default: self = .internal
        }
    }
}
