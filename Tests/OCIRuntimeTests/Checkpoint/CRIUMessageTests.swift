internal import CheckpointAPI
internal import Core
internal import LinuxKernel
internal import OCISpec
@testable internal import OCIRuntime
internal import SwiftProtobuf
internal import Testing

/// What goes over the socket of `criu swrk`, in CRIU's own numbers.
@Suite struct CRIUMessageTests {
    @Test func requestIsTheseBytes() throws {
        let request = Berth_Checkpoint_V1_Request.with {
            $0.operation = .dump
            $0.options.imagesDirectory = 7
            $0.options.pid = 300
            $0.options.leaveRunning = false
            $0.options.logFile = "a"
            $0.options.cgroupMode = .soft
            $0.options.external = ["b"]
        }
        let bytes: [UInt8] = try request.serializedBytes()
        #expect(
            bytes == [
                0x08, 1,  // 1: DUMP
                0x12, 17,  // 2: options
                0x08, 7,  // 1: images_dir_fd
                0x10, 0xac, 0x02,  // 2: pid 300
                0x18, 0,  // 3: leave_running, which is told though it is false
                0x52, 1, 0x61,  // 10: log_file
                0x90, 0x02, 3,  // 34: manage_cgroups_mode SOFT
                0xaa, 0x02, 1, 0x62,  // 37: external
            ])
    }

    @Test func responseOfARestoreIsRead() throws {
        // type RESTORE, success, restore {pid 4242}
        let bytes: [UInt8] = [0x08, 2, 0x10, 1, 0x22, 3, 0x08, 0x92, 0x21]
        let response = try Berth_Checkpoint_V1_Response(serializedBytes: bytes)
        #expect(response.operation == .restore)
        #expect(response.success)
        #expect(response.restored.pid == 4242)
    }

    @Test func notificationIsRead() throws {
        // type NOTIFY, success, notify {script "post-dump", pid 5}
        let bytes: [UInt8] = [0x08, 6, 0x10, 1, 0x2a, 13, 0x0a, 9] + Array("post-dump".utf8) + [0x10, 5]
        let response = try Berth_Checkpoint_V1_Response(serializedBytes: bytes)
        #expect(response.notification.point == "post-dump")
        #expect(response.notification.pid == 5)
    }

    @Test func mountsOfTheHostAreExternal() throws {
        var spec = RuntimeSpec()
        spec.mounts = [
            .init(destination: "/proc", type: "proc", source: "proc"),
            .init(destination: "/data/../in", type: "bind", source: "/host/data", options: ["ro"]),
            .init(destination: "/rel", type: "none", source: "rel", options: ["rbind"]),
            .init(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup"),
        ]
        spec.linux = .init()
        spec.linux?.maskedPaths = ["/proc/kcore"]
        let unified = try ContainerCgroup(host: Hosts.unified.cgroups, path: "/x", id: "x")
        #expect(
            ExternalMounts(spec, cgroup: unified, bundle: "/bundle").restored() == [
                "mnt[/in]:/host/data", "mnt[/rel]:/bundle/rel", "mnt[/dev/null]:/dev/null",
            ])
        let hybrid = try ContainerCgroup(host: Hosts.hybrid.cgroups, path: "/x", id: "x")
        let binds = ExternalMounts(spec, cgroup: hybrid, bundle: "/bundle").restored()
        #expect(binds.contains { $0.hasPrefix("mnt[/sys/fs/cgroup/memory]:") && $0.hasSuffix("/x") })
        // With a cgroup namespace the container has mounts of its own.
        spec.linux?.namespaces = [.init(type: "cgroup")]
        #expect(!ExternalMounts(spec, cgroup: hybrid).restored().contains { $0.contains("cgroup") })
    }

    @Test func namesOfModesAndNamespaces() throws {
        #expect(try CheckpointOptions.cgroupMode("") == .soft)
        #expect(try CheckpointOptions.cgroupMode("ignore") == .ignore)
        #expect(throws: BerthError.self) { try CheckpointOptions.cgroupMode("hard") }
        #expect(try CheckpointOptions.emptyNamespaces(["network"]) == NamespaceTypes.network.rawValue)
        #expect(throws: BerthError.self) { try CheckpointOptions.emptyNamespaces(["user"]) }
    }
}
