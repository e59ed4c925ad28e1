public import CRIAPI

/// The calls of the CRI that the node agent makes. The seam behind which tests put a runtime of their own.
///
/// Every call throws `BerthError`; `notFound` where the sandbox or container does not exist (any more).
public protocol ContainerRuntime: Sendable {
    func version() async throws -> Runtime_V1_VersionResponse
    func status() async throws -> Runtime_V1_RuntimeStatus
    /// `nil` where the runtime does not tell (before CRI of Kubernetes 1.28).
    func cgroupDriver() async throws -> Runtime_V1_CgroupDriver?

    func runPodSandbox(_ config: Runtime_V1_PodSandboxConfig) async throws -> String
    func stopPodSandbox(_ id: String) async throws
    func removePodSandbox(_ id: String) async throws
    func podSandboxStatus(_ id: String) async throws -> Runtime_V1_PodSandboxStatus
    func listPodSandboxes(labels: [String: String]) async throws -> [Runtime_V1_PodSandbox]

    func createContainer(
        in sandbox: String, _ config: Runtime_V1_ContainerConfig, sandboxConfig: Runtime_V1_PodSandboxConfig
    ) async throws -> String
    func startContainer(_ id: String) async throws
    /// - Parameter timeout: seconds between the stop signal and SIGKILL.
    func stopContainer(_ id: String, timeout: Int64) async throws
    func removeContainer(_ id: String) async throws
    func listContainers(labels: [String: String]) async throws -> [Runtime_V1_Container]
    func containerStatus(_ id: String) async throws -> Runtime_V1_ContainerStatus
    /// - Parameter timeout: seconds; 0 for none. Past it the call throws `deadlineExceeded`.
    func execSync(_ id: String, command: [String], timeout: Int64) async throws -> Runtime_V1_ExecSyncResponse
    func reopenContainerLog(_ id: String) async throws

    /// `nil` where the image is not present.
    func imageStatus(_ reference: String) async throws -> Runtime_V1_Image?
    /// - Returns: the reference to give to `createContainer`.
    func pullImage(_ reference: String, sandboxConfig: Runtime_V1_PodSandboxConfig) async throws -> String
}
