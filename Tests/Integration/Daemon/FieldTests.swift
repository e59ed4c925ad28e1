internal import CRIAPI
internal import GRPCCore
internal import LinuxKernel
internal import TestSupport
internal import Testing

/// Fields of CRI that reach from the call to the container and back to a status.
@Suite struct FieldTests {
    @Test func metricsHaveTheLabelsOfTheirDescriptors() async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("measured")
            let pod = try await daemon.runPod(config)
            let container = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sleep", "1000"]), in: pod, config)
            let descriptors = try await daemon.runtime { try await $0.listMetricDescriptors(.init()).descriptors }
            let keys = Dictionary(uniqueKeysWithValues: descriptors.map { ($0.name, $0.labelKeys) })
            #expect(descriptors.allSatisfy { !$0.help.isEmpty })

            let all = try await daemon.runtime { try await $0.listPodSandboxMetrics(.init()).podMetrics }
            let metrics = try #require(all.first { $0.podSandboxID == pod })
            let own = try #require(metrics.containerMetrics.first { $0.containerID == container }).metrics
            for metric in metrics.metrics + own {
                #expect(metric.labelValues.count == keys[metric.name]?.count, "\(metric.name)")
                #expect(metric.hasValue && metric.timestamp > 0)
            }
            let usage = try #require(own.first { $0.name == "container_memory_usage_bytes" })
            let labels = Dictionary(uniqueKeysWithValues: zip(keys[usage.name] ?? [], usage.labelValues))
            #expect(labels["container"] == "main")
            #expect(labels["pod"] == "measured")
            #expect(labels["namespace"] == "integration")
            #expect(labels["name"] == container)
            #expect(usage.value.value > 0)
            #expect(own.first { $0.name == "container_processes" }?.value.value == 1)
            #expect(metrics.metrics.contains { $0.name == "container_network_receive_bytes_total" })
        }
    }

    @Test func anImageIsMountedAndItsIDIsInTheStatus() async throws {
        try await Daemon.with { daemon in
            let config = daemon.podConfiguration("volumes")
            let pod = try await daemon.runPod(config)
            let container = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sleep", "1000"]) {
                    $0.mounts = [
                        .with {
                            $0.containerPath = "/tools"
                            $0.readonly = true
                            $0.image.image = Daemon.image
                            $0.imageSubPath = "bin"
                        }
                    ]
                }, in: pod, config)
            let result = try await daemon.exec(container, ["/tools/busybox", "echo", "runs"])
            #expect(String(decoding: result.stdout, as: UTF8.self) == "runs\n")
            let mount = try #require(try await daemon.status(of: container).mounts.first)
            let image = try await daemon.images {
                try await $0.imageStatus(.with { $0.image.image = Daemon.image }).image
            }
            #expect(mount.image.imageRef == image.id)
            #expect(mount.imageSubPath == "bin")
            // A kubelet names the image by its ID.
            let byID = try await daemon.startContainer(
                daemon.containerConfiguration("by-id", ["/bin/sleep", "1000"]) {
                    $0.image.image = image.id
                    $0.image.userSpecifiedImage = Daemon.image
                }, in: pod, config)
            #expect(try await daemon.status(of: byID).image.image == Daemon.image)
        }
    }

    @Test func aPodWithItsOwnUserNamespaceTellsItsMappings() async throws {
        try await Daemon.with { daemon in
            let answer = try await daemon.runtime { try await $0.status(.init()) }
            let plain = try #require(answer.runtimeHandlers.first { $0.name.isEmpty })
            #expect(answer.features.userNamespacesHostNetwork == plain.features.userNamespaces)
            guard plain.features.userNamespaces else { return }
            let mapping = [
                Runtime_V1_IDMapping.with {
                    $0.hostID = 100_000
                    $0.length = 65_536
                }
            ]
            let config = daemon.podConfiguration("mapped") {
                $0.linux.securityContext.namespaceOptions.usernsOptions = .with {
                    $0.uids = mapping
                    $0.gids = mapping
                }
            }
            let pod = try await daemon.runPod(config)
            let container = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sleep", "1000"]) {
                    $0.linux.securityContext.namespaceOptions =
                        config.linux.securityContext.namespaceOptions
                }, in: pod, config)
            let map = try await daemon.exec(container, ["cat", "/proc/self/uid_map"])
            #expect(
                String(decoding: map.stdout, as: UTF8.self).split(whereSeparator: \.isWhitespace)
                    == ["0", "100000", "65536"])
            let status = try await daemon.runtime {
                try await $0.podSandboxStatus(.with { $0.podSandboxID = pod }).status
            }
            #expect(status.linux.namespaces.options.usernsOptions.uids == mapping)
        }
    }
}
