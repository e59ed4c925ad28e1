public import CRIAPI
internal import Foundation
public import SystemPackage

/// Settings of the node agent; `berth-kubelet --help` explains each.
public struct KubeletConfiguration: Sendable {
    public var manifests: FilePath
    public var root: FilePath = "/var/lib/berth-kubelet"
    public var logs: FilePath = "/var/log/pods"
    public var address = "127.0.0.1"
    public var port = 10255
    public var nodeName: String
    public var nodeIP: String
    public var clusterDNS: [String] = []
    public var clusterDomain = "cluster.local"
    public var resolvConf: FilePath = "/etc/resolv.conf"
    /// Below which the pods' cgroups are made, as the runtime sees it.
    public var cgroupRoot = "/"
    /// `nil` asks the runtime, and takes cgroupfs where it does not tell.
    public var cgroupDriver: Runtime_V1_CgroupDriver?
    /// Whether containers without a seccomp profile get the runtime's default one.
    public var seccompDefault = true
    public var stopPodsOnExit = false
    /// Seconds of the first delay of restarts and pulls, and of the longest.
    public var backOffBase: Double = 10
    public var backOffLimit: Double = 300
    /// Seconds between looks at the runtime and the manifest directory.
    public var relistPeriod: Double = 1
    /// Bytes of a container's log before it is rotated, and how many files are kept.
    public var logMaxSize: Int64 = 10 << 20
    public var logMaxFiles = 5

    public init(manifests: FilePath, nodeName: String, nodeIP: String) {
        (self.manifests, self.nodeName, self.nodeIP) = (manifests, nodeName, nodeIP)
    }

    var timing: BackOff.Timing { BackOff.Timing(base: backOffBase, limit: backOffLimit) }

    func podFolder(_ uid: String) -> FilePath { root.appending("pods").appending(uid) }
}

/// What the machine has.
struct NodeFacts: Sendable {
    var cpus: Int
    /// Bytes.
    var memory: Int64
    var cgroupDriver: Runtime_V1_CgroupDriver

    static func local(cgroupDriver: Runtime_V1_CgroupDriver) -> NodeFacts {
        NodeFacts(
            cpus: ProcessInfo.processInfo.activeProcessorCount,
            memory: Int64(clamping: ProcessInfo.processInfo.physicalMemory), cgroupDriver: cgroupDriver)
    }
}
