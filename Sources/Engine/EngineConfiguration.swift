public import SystemPackage

/// How an engine works on its host.
public struct EngineConfiguration: Sendable {
    /// Images, snapshots and metadata; kept over reboots.
    public var root: FilePath
    /// Sockets, namespaces and exit records; lost with a reboot.
    public var state: FilePath
    /// berth-launch; `nil` to look beside the program and in ../libexec/berth.
    public var launcher: FilePath?
    /// Cgroup of pods that name no parent.
    public var cgroupParent = "/berth"
    /// systemd makes the cgroups of pods and containers, as slices and scopes.
    public var usesSystemd = false
    /// Seccomp profile of containers that name none. CRI means "unconfined" by it: a kubelet that wants the default profile
    /// (`--seccomp-default`) names it.
    public var unsetSeccomp = SecurityProfile.unconfined
    /// Pods and containers have labels of SELinux, where the kernel runs it and its policy knows containers.
    public var usesSELinux = true
    /// Directory of seccomp profiles that pods name by a relative path.
    public var seccompDirectory: FilePath = "/var/lib/kubelet/seccomp"
    /// Annotations of pods and containers that their OCI configuration gets too: names, or starts of names with `*`.
    public var passedAnnotations: [String] = []
    /// Directories of CDI specifications; a later one wins.
    public var cdiDirectories: [FilePath] = ["/etc/cdi", "/var/run/cdi"]
    /// Directories of hooks that containers get (oci-hooks(5)); a later one wins.
    public var hookDirectories: [FilePath] = []
    /// Runtime handlers besides our own: programs with runc's command line, by name.
    public var runtimes: [String: FilePath] = [:]
    /// The program of that name; `nil`: criu of the PATH.
    public var criu: FilePath?
    /// Whether an image may be the checkpoint of a container. Its images say with which rights its processes run.
    public var restoresCheckpoints = false
    /// How long another runtime may take to start a container.
    public var startTimeout = Duration.seconds(120)
    /// Size of a pod's /dev/shm in bytes.
    public var sharedMemorySize: UInt64 = 64 << 20
    /// How long after a removal the network is asked to clear up what it has left of pods.
    public var networkCollectionDelay = Duration.seconds(600)
    /// How long a killed container may take to end before that is an error.
    public var killTimeout = Duration.seconds(30)

    public init(root: FilePath, state: FilePath) {
        self.root = root
        self.state = state
    }
}

/// Where things of pods and containers stand below the state directory.
struct StateLayout: Sendable {
    let root: FilePath

    var pods: FilePath { root.appending("pods") }
    var containers: FilePath { root.appending("containers") }
    /// What other runtimes keep.
    var runtimes: FilePath { root.appending("runtimes") }

    func pod(_ id: String) -> FilePath { pods.appending(id) }
    func namespaces(ofPod id: String) -> FilePath { pod(id).appending("ns") }
    func namespace(_ name: String, ofPod id: String) -> FilePath { namespaces(ofPod: id).appending(name) }
    func hosts(ofPod id: String) -> FilePath { pod(id).appending("hosts") }
    func hostname(ofPod id: String) -> FilePath { pod(id).appending("hostname") }
    func resolvConf(ofPod id: String) -> FilePath { pod(id).appending("resolv.conf") }
    func sharedMemory(ofPod id: String) -> FilePath { pod(id).appending("shm") }

    func container(_ id: String) -> FilePath { containers.appending(id) }
    func configuration(of id: String) -> FilePath { container(id).appending("config.json") }
    /// Images that are mounted in the container, by the index of the mount.
    func images(of id: String) -> FilePath { container(id).appending("images") }
    func image(_ index: Int, of id: String) -> FilePath { images(of: id).appending("\(index)") }
    /// Where layers are mounted with other ids, while an overlay is made of them.
    func layers(of id: String) -> FilePath { container(id).appending("l") }
    func rootFS(of id: String) -> FilePath { container(id).appending("rootfs") }
    func exitRecord(of id: String) -> FilePath { container(id).appending("exit.pb") }
    /// Not below the container's own directory where that would be longer than a socket's path may be.
    func monitorSocket(of id: String) -> FilePath { container(id).appending("monitor.sock") }
}
