/// What `berthd config default` prints, and `make install` installs as an example.
enum DefaultConfiguration {
    static let text = #"""
        # Configuration of berthd. Every key is here with its default; what is left out has it too.
        # An unknown key is an error. Check a file with: berthd config check FILE

        # Images, snapshots and metadata. Kept over reboots.
        root = "/var/lib/berth"

        # Sockets, namespaces and exit records of what runs. Lost with a reboot, so on a tmpfs.
        state = "/run/berth"

        # Unix socket of CRI and containerd's services; mode 0600. Empty: berth.sock in the state directory.
        address = ""

        # trace, debug, info, notice, warning, error or critical. Calls that only look are logged at debug.
        log_level = "info"

        # berth-launch. Empty: beside berthd, else in ../libexec/berth.
        launcher = ""

        [pods]
        # Cgroup below which pods go that name no parent of their own.
        cgroup_parent = "/berth"

        # Who makes the cgroups: "cgroupfs" (the daemon itself) or "systemd" (as slices and scopes; "/berth" is berth.slice then).
        # The kubelet asks for it, and uses the same.
        cgroup_driver = "cgroupfs"

        # Size of each pod's /dev/shm.
        shm_megabytes = 64

        # The program that writes and restores checkpoints of containers, ".../criu". Empty: that of the PATH.
        criu = ""

        # Whether the image of a container may be the checkpoint of another one: the path of an archive as CheckpointContainer writes
        # it, or an image that is annotated as one. A checkpoint says with which users, capabilities and mounts its processes go on,
        # whatever the pod's configuration says: only where everybody who may make containers may be root on this machine.
        restore_checkpoints = false

        # Seccomp profile of containers that name none: "unconfined", as CRI means it, or "runtime/default".
        unset_seccomp = "unconfined"

        # Whether pods and containers have labels of SELinux, where the kernel runs it and its policy knows containers (lxc_contexts).
        selinux = true

        # Where seccomp profiles are that pods name by a relative path ("Localhost").
        seccomp_directory = "/var/lib/kubelet/seccomp"

        # Where specifications of the Container Device Interface are; a later directory wins.
        cdi_directories = ["/etc/cdi", "/var/run/cdi"]

        # Where hooks are described that containers get, as oci-hooks(5) has it; a later directory wins.
        hooks_directories = ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"]

        # Annotations of pods and containers that go into the OCI configuration, where hooks read them: names, or starts of
        # names with a * at the end. None by default.
        passed_annotations = []

        # Runtime handlers besides berth's own: programs with runc's command line, by the name that a RuntimeClass has for them.
        # [runtimes.runc]
        # path = "/usr/sbin/runc"

        [network]
        # Where a CNI configuration is found here, its plugins connect the pods; else the built-in network does.
        cni_config_directory = "/etc/cni/net.d"
        cni_plugin_directories = ["/opt/cni/bin", "/usr/lib/cni"]

        # The built-in network's bridge and its subnets, one for each address of a pod (IPv4, IPv6 or both), such as
        # "berth0" and ["10.85.0.0/16", "fd00:85::/64"]. Empty: the pod CIDR that the kubelet tells
        # (UpdateRuntimeConfig), and before it does, a bridge and subnet that nothing else on this host uses.
        bridge = ""
        subnets = []

        # Or a CNI configuration list that the built-in network is to follow, in the place of the plugins and of the other keys
        # here: bridge with host-local, portmap and loopback, such as "/etc/cni/net.d/10-bridge.conflist".
        conflist = ""

        # MTU of bridge and pods. 0: that of the interface with the host's default route.
        mtu = 0

        # Pods reach other networks with the host's address.
        masquerade = true

        [streaming]
        # Where clients of exec, attach and port-forward connect to; what is not on this machine reaches it through the kubelet.
        address = "127.0.0.1"

        # 0: any free one.
        port = 0

        [nri]
        # Whether plugins of the Node Resource Interface may take part in the life of pods and containers.
        enabled = false

        # Where plugins connect; mode 0600. Empty: none comes by itself.
        socket = "/var/run/nri/nri.sock"

        # Programs NN-NAME here are started as plugins, with NN-NAME.conf or NAME.conf as their configuration. Empty: none.
        plugin_directory = "/opt/nri/plugins"
        plugin_config_directory = "/etc/nri/conf.d"

        # How long a plugin may take to register and to learn what is there, and to answer. One that takes longer is dropped.
        registration_timeout_seconds = 5
        request_timeout_seconds = 2

        [images]
        # How image layers are kept: "overlayfs" (directories), "erofs" (one read-only image file for each layer, Linux 5.19 with loop
        # devices or 6.12 without), "native" (whole copies, where neither works), or "auto": overlayfs, else native. On Linux 6.13 erofs
        # pulls faster. In return images stay mounted below the daemon's directory, and what is read takes page cache twice. Containers
        # stay on the one they were made with; images are unpacked anew for the next ones.
        snapshotter = "auto"

        # Registries without TLS, "HOST:PORT". Those of this machine are always asked without it.
        plain_http = []

        # Registries whose certificate is not checked, "HOST:PORT".
        insecure_tls = []

        # Directories with a directory for each registry, "HOST" or "HOST:PORT" or "_default", in which containerd's hosts.toml says where
        # to ask, in which order, and with which certificates. The first that has one for a registry counts.
        hosts_directories = ["/etc/berth/certs.d", "/etc/containerd/certs.d"]

        # Blobs that are downloaded at once, of all pulls together; of one image it is three.
        concurrent_downloads = 16

        # What docker login or podman login leaves, for pulls that bring no credentials. Empty: such pulls show nobody.
        logins = ""

        # The registry of names without one, such as "busybox:1". Empty: such names are refused.
        short_names = "docker.io"

        # Images that a kubelet must not collect, as "registry.example/pause:3", also with a * at the end or at both ends.
        pinned = []

        # Programs here are asked about each image before it is pulled, as containerd's bindir verifier asks; each has to agree.
        verifier_directory = ""

        # How full the images' disk may become, in percent: beyond reclaim_above images go that no container uses, those first that were
        # not used for longest, until it is down to reclaim_to. 0: never. A kubelet does the same by thresholds of its own.
        reclaim_above = 0
        reclaim_to = 80

        # Where to ask before a registry itself, "[http[s]://]HOST[:PORT][/PREFIX]". Mirrors get no credentials.
        # What hosts_directories say of a registry counts before.
        # [images.registry."docker.io"]
        # mirrors = ["https://mirror.example.org"]

        """#
}
