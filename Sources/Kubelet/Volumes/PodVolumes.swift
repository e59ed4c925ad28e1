internal import CRIAPI
internal import Core
internal import Glibc
internal import SystemPackage

/// Makes a pod's volumes on the node, below the agent's root directory, and takes them away again.
///
///     ROOT/pods/UID/volumes/KIND/NAME            emptyDir and downwardAPI
///     ROOT/pods/UID/subpaths/CONTAINER/INDEX     bind mounts of subPaths
///     ROOT/pods/UID/containers/NAME/ATTEMPT      termination messages
///     ROOT/pods/UID/etc-hosts
struct PodVolumes {
    let pod: Pod
    let folder: FilePath

    init(pod: Pod, configuration: KubeletConfiguration) {
        self.pod = pod
        folder = configuration.podFolder(pod.uid)
    }

    var hostsFile: FilePath { folder.appending("etc-hosts") }

    func terminationLog(_ container: String, attempt: UInt32) -> FilePath {
        folder.appending("containers").appending(container).appending("\(attempt)")
    }

    /// Makes what is missing; safe to call again while the pod runs.
    func prepare(_ downward: DownwardFields) throws {
        try HostFiles.makeDirectories(folder)
        for (index, volume) in (pod.spec.volumes ?? []).enumerated() {
            do {
                if let source = volume.emptyDir { try prepare(source, volume.name) }
                if let source = volume.hostPath { try HostPathCheck.prepare(source) }
                if let source = volume.downwardAPI { try write(source, volume.name, downward) }
            } catch {
                throw BerthError.wrapping(error, "spec.volumes[\(index)] \"\(volume.name)\"")
            }
        }
    }

    func remove() throws { try HostFiles.removeFolder(folder) }

    /// Where a volume is on the node.
    func path(of volume: Volume) -> FilePath {
        if let source = volume.hostPath { return FilePath(source.path) }
        let kind = volume.emptyDir != nil ? "empty-dir" : "downward-api"
        return folder.appending("volumes").appending(kind).appending(volume.name)
    }

    // MARK: Kinds

    private func prepare(_ source: EmptyDirSource, _ name: String) throws {
        let path = folder.appending("volumes").appending("empty-dir").appending(name)
        try HostFiles.makeDirectories(path)
        if source.medium == .memory, HostFiles.mounts(below: path).isEmpty {
            let size = source.sizeLimit.map { ",size=\(max($0.units, 4096))" } ?? ""
            guard mount("tmpfs", path.string, "tmpfs", UInt(MS_NOSUID | MS_NODEV), "mode=0777\(size)") == 0 else {
                throw HostFiles.failure("mount tmpfs at", path)
            }
        }
        var mode: mode_t = 0o777
        if let group = pod.spec.securityContext?.fsGroup {
            guard lchown(path.string, 0, gid_t(group)) == 0 else {
                throw HostFiles.failure("give to group \(group)", path)
            }
            mode |= S_ISGID
        }
        guard chmod(path.string, mode) == 0 else { throw HostFiles.failure("change mode of", path) }
    }

    private func write(_ source: DownwardAPISource, _ name: String, _ downward: DownwardFields) throws {
        let path = folder.appending("volumes").appending("downward-api").appending(name)
        try HostFiles.makeDirectories(path, mode: 0o755)
        for item in source.items ?? [] {
            let file = path.pushing(FilePath(item.path))
            try HostFiles.makeDirectories(file.removingLastComponent(), mode: 0o755)
            let text =
                if let field = item.fieldRef {
                    downward.value(of: field)
                } else if let resource = item.resourceFieldRef {
                    downward.value(of: resource, in: nil)
                } else {
                    ""
                }
            try HostFiles.replace(file, text, mode: mode_t(item.mode ?? source.defaultMode ?? 0o644))
            if let group = pod.spec.securityContext?.fsGroup { _ = lchown(file.string, 0, gid_t(group)) }
        }
    }

    // MARK: Mounts of a container

    func mounts(for container: Container, attempt: UInt32, managesHosts: Bool) throws -> [Runtime_V1_Mount] {
        var mounts: [Runtime_V1_Mount] = []
        for (index, request) in (container.volumeMounts ?? []).enumerated() {
            guard let volume = pod.spec.volumes?.first(where: { $0.name == request.name }) else { continue }
            var source = path(of: volume)
            if let subPath = request.subPath, !subPath.isEmpty {
                let target = folder.appending("subpaths").appending(container.name).appending("\(index)")
                do {
                    try SubPath.bind(subPath, of: source, to: target, create: volume.downwardAPI == nil)
                } catch {
                    throw BerthError.wrapping(error, "volumeMounts[\(index)].subPath \"\(subPath)\"")
                }
                source = target
            }
            mounts.append(
                .with {
                    $0.hostPath = source.string
                    $0.containerPath = request.mountPath
                    $0.readonly = request.readOnly ?? false || volume.downwardAPI != nil
                    // What is the host's own keeps its label.
                    $0.selinuxRelabel = volume.hostPath == nil
                    $0.propagation =
                        switch request.mountPropagation ?? .none {
                        case .none: .propagationPrivate
                        case .hostToContainer: .propagationHostToContainer
                        case .bidirectional: .propagationBidirectional
                        }
                })
        }
        let taken = Set(mounts.map { FilePath($0.containerPath).lexicallyNormalized().string })
        if managesHosts, !taken.contains("/etc/hosts") {
            mounts.append(
                .with {
                    $0.hostPath = hostsFile.string
                    $0.containerPath = "/etc/hosts"
                    $0.readonly = container.securityContext?.readOnlyRootFilesystem ?? false
                    $0.selinuxRelabel = true
                })
        }
        if let path = container.terminationMessagePath, !path.isEmpty, !taken.contains(path) {
            let file = terminationLog(container.name, attempt: attempt)
            try HostFiles.makeDirectories(file.removingLastComponent())
            // Writable for whoever the container runs as.
            try HostFiles.overwrite(file, "", mode: 0o666)
            mounts.append(
                .with {
                    $0.hostPath = file.string
                    $0.containerPath = path
                    $0.selinuxRelabel = true
                })
        }
        return mounts
    }

    func writeHosts(_ text: String) throws {
        try HostFiles.overwrite(hostsFile, text, mode: 0o644)
    }
}
