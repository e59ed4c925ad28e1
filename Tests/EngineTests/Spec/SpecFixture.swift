import Core
import OCISpec
import SystemPackage

@testable import Engine

/// A pod, a container and a host for spec building: none of them exists.
struct SpecFixture {
    var pod: PodSandbox
    var config: ContainerConfig
    var image = ImageConfig.Execution(
        env: ["PATH=/bin", "FROM_IMAGE=1"], entrypoint: ["/entry"], cmd: ["a", "b"], workingDir: "/srv")
    var user = ContainerUser(uid: 0, gid: 0, additionalGIDs: [0])
    var host: SpecHost
    var devices: [HostDevice] = []
    var apparmor: String?
    var selinux: SELinuxLabels?
    var targetPIDNamespace: String?
    var cdi = CDIEdits()
    var passedAnnotations: [String] = []
    var imageMounts: [Int: FilePath] = [:]

    init() {
        pod = Self.pod()
        config = ContainerConfig(metadata: ContainerMetadata(name: "c"), image: ImageRequest(image: "box"))
        config.security.namespaces.pid = .container
        host = SpecHost()
        host.capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"]
        host.defaultCapabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        host.maskedPaths = ["/proc/kcore"]
        host.readonlyPaths = ["/proc/sys"]
    }

    static func pod(_ change: (inout PodSandboxConfig) -> Void = { _ in }) -> PodSandbox {
        var config = PodSandboxConfig(metadata: PodSandboxMetadata(name: "p", uid: "u", namespace: "n"))
        config.hostname = "web"
        change(&config)
        return PodSandbox(
            id: "pod1", config: config, runtimeHandler: "", createdAt: 1, state: .ready, cgroup: "/kubepods/p",
            ownsCgroup: false)
    }

    func build() throws -> RuntimeSpec {
        var builder = SpecBuilder(
            containerID: "ctr1", pod: pod, config: config, image: image, user: user, home: "/root",
            layout: StateLayout(root: "/run/b"), cgroup: "/kubepods/p/ctr1", host: host)
        builder.devices = devices
        builder.apparmor = apparmor
        builder.selinux = selinux
        builder.targetPIDNamespace = targetPIDNamespace
        builder.cdi = cdi
        builder.passedAnnotations = passedAnnotations
        builder.imageMounts = imageMounts
        return try builder.build()
    }
}
