internal import CRIAPI
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

extension TestRegistry {
    static func with(_ scratch: ScratchDirectory, _ body: (TestRegistry) async throws -> Void) async throws {
        let registry = try await TestRegistry(below: scratch.path)
        defer { registry.stop() }
        try await body(registry)
    }

    /// - Returns: the reference of an image of busybox that it has now.
    fileprivate func pushBusybox(_ scratch: ScratchDirectory) async throws -> String {
        let archive = scratch.appending("image.tar").string
        try await Program.ours("berth-ctr").check(
            "image", "build-rootfs", "--busybox", "/bin/busybox", "--tag", "box:1", "--output", archive)
        let reference = "127.0.0.1:\(port)/library/box:1"
        try await Program.system("skopeo").check(
            "copy", "--dest-tls-verify=false", "oci-archive:\(archive)", "docker://\(reference)")
        return reference
    }
}

@Suite struct RegistryTests {
    @Test func onATerminalCrictlShowsABarForEachBlob() async throws {
        try await Daemon.with(image: false) { daemon in
            try await TestRegistry.with(daemon.scratch) { registry in
                let reference = try await registry.pushBusybox(daemon.scratch)
                let manifest = try await Program.system("skopeo").check(
                    "inspect", "--raw", "--tls-verify=false", "docker://\(reference)")
                let digests = manifest.standardOutput.split(separator: "sha256:").dropFirst().map {
                    String($0.prefix(12))
                }
                try #require(digests.count >= 2)

                let crictl = Program.folder.appending("berth-crictl").string
                let pull = "\(crictl) --runtime-endpoint unix://\(daemon.socket) pull \(reference)"
                let shown = try await Program.system("env").check(
                    "-u", "NO_COLOR", "TERM=xterm", "script", "-qec", pull, "/dev/null"
                ).standardOutput
                for digest in digests { #expect(shown.contains("  \(digest):"), "\(shown)") }
                #expect(shown.contains("pulled") && shown.contains("|++++"), "\(shown)")
                #expect(shown.contains("Image is up to date for sha256:"))
                // Without a terminal there is nothing but the result.
                let plain = try await daemon.crictl.check("pull", reference)
                #expect(plain.standardOutput.hasPrefix("Image is up to date for sha256:"))
                #expect(plain.standardError == "")
            }
        }
    }

    @Test func pulledImageRunsAndIsTheSameByTagDigestAndID() async throws {
        try await Daemon.with(image: false) { daemon in
            try await TestRegistry.with(daemon.scratch) { registry in
                let reference = try await registry.pushBusybox(daemon.scratch)

                let pulled = try await daemon.images {
                    try await $0.pullImage(.with { $0.image = .with { $0.image = reference } }).imageRef
                }
                let byTag = try await status(daemon, reference)
                #expect(byTag.id == pulled)
                #expect(byTag.repoTags == [reference])
                let digest = try #require(byTag.repoDigests.first)
                #expect(try await status(daemon, digest).id == pulled)
                #expect(try await status(daemon, pulled).id == pulled)

                let config = daemon.podConfiguration("pulled")
                let pod = try await daemon.runPod(config)
                let container = try await daemon.startContainer(
                    daemon.containerConfiguration("main", ["/bin/sh", "-c", "exit 9"]) { $0.image.image = reference },
                    in: pod, config)
                #expect(try await daemon.exit(of: container).exitCode == 9)
            }
        }
    }

    @Test func absentImageIsNamed() async throws {
        try await Daemon.with(image: false) { daemon in
            try await TestRegistry.with(daemon.scratch) { registry in
                let reference = "127.0.0.1:\(registry.port)/library/absent:1"
                let output = try await daemon.crictl.run("pull", reference)
                #expect(output.code == 1)
                #expect(output.standardError.contains("library/absent:1"), "\(output)")
            }
        }
    }

    @Test func imagesArePushedMountedListedAndDeletedFromTheCommandLine() async throws {
        try await Daemon.with(image: false) { daemon in
            try await TestRegistry.with(daemon.scratch) { registry in
                let ctr = Program.ours("berth-ctr", "-a", daemon.socket.string, "-n", "k8s.io")
                let archive = daemon.scratch.appending("image.tar").string
                let name = "docker.io/library/box:1"
                try await ctr.check(
                    "image", "build-rootfs", "--busybox", "/bin/busybox", "--tag", name, "--output", archive)
                try await ctr.check("image", "import", archive)
                let host = "127.0.0.1:\(registry.port)"
                let pushed = try await ctr.check("image", "push", "-q", "\(host)/one/box:1", name)
                let digest = try #require(pushed.lines.first)
                #expect(digest.hasPrefix("sha256:"))
                #expect(
                    try await ctr.check("registry", "resolve", "\(host)/one/box:1").standardOutput
                        .hasPrefix(digest + " "))

                // What was pulled from one repository is not sent again to another one of the same registry.
                try await ctr.check("image", "rm", name)
                _ = try await daemon.images {
                    try await $0.pullImage(.with { $0.image = .with { $0.image = "\(host)/one/box:1" } })
                }
                let again = try await ctr.check(
                    "image", "push", "--progress", "json", "\(host)/two/box:2", "\(host)/one/box:1")
                let states = again.lines.filter { $0.hasPrefix("{") }
                #expect(!states.isEmpty)
                #expect(!states.contains { $0.contains("uploading") }, "\(again)")
                #expect(states.contains { $0.contains("\"finished\":") && $0.contains("\"total\":") })

                let pulled = try await ctr.check("image", "pull", "--progress", "json", "\(host)/two/box:2")
                #expect(pulled.lines.contains { $0.hasPrefix("{\"name\":") && $0.contains("\"state\":") })
                #expect(try await ctr.check("registry", "tags", "\(host)/two/box").standardOutput == "2\n")
                let skopeo = try await Program.system("skopeo").check(
                    "inspect", "--tls-verify=false", "docker://\(host)/two/box:2")
                #expect(skopeo.standardOutput.contains(digest))

                let refused = try await ctr.run("registry", "delete", "\(host)/two/box@\(digest)")
                #expect(refused.code == 1, "this registry's configuration does not allow it")
                #expect(refused.standardError.contains("does not delete"), "\(refused)")
            }
        }
    }

    /// /etc is the test's own, in a mount namespace of its own.
    @Test(arguments: ["/etc/berth/certs.d", "/etc/containerd/certs.d"])
    func mirrorsAreFoundInTheUsualPlaces(_ directory: String) async throws {
        let scratch = try ScratchDirectory("usual")
        try await TestRegistry.with(scratch) { registry in
            _ = try await registry.pushBusybox(scratch)
            let hosts = #"[host."http://127.0.0.1:\#(registry.port)"]"#
            let script = """
                mount -t tmpfs tmpfs /etc && mkdir -p \(directory)/mirrored.test
                echo '\(hosts)' > \(directory)/mirrored.test/hosts.toml
                exec \(Program.folder.appending("berth-ctr")) registry tags mirrored.test/library/box
                """
            let output = try await Program.system("unshare").run(
                "--mount", "--propagation", "private", "sh", "-c", script)
            #expect(output.standardOutput == "1\n", "\(output)")
        }
    }

    private func status(_ daemon: Daemon, _ image: String) async throws -> Runtime_V1_Image {
        try await daemon.images { try await $0.imageStatus(.with { $0.image = .with { $0.image = image } }).image }
    }
}
