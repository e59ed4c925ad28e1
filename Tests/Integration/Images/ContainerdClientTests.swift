internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Debian's `ctr` as a client of berthd.
@Suite struct ContainerdClientTests {
    @Test func debiansCtrImportsListsExportsAndRemoves() async throws {
        try await Daemon.with(image: false) { daemon in
            let ctr = Program.system("ctr", "-a", daemon.socket.string, "-n", "default")
            let archive = daemon.scratch.appending("image.tar").string
            let name = "docker.io/library/box:1"
            try await Program.ours("berth-ctr").check(
                "image", "build-rootfs", "--busybox", "/bin/busybox", "--tag", name, "--output", archive)

            try await ctr.check("version")
            try await ctr.check("images", "import", archive)
            let list = try await ctr.check("images", "ls")
            #expect(list.lines.contains { $0.hasPrefix(name + " ") }, "\(list)")
            let check = try await ctr.check("images", "check")
            #expect(check.standardOutput.contains("complete"), "\(check)")

            let exported = daemon.scratch.appending("exported.tar").string
            try await ctr.check("images", "export", exported, name)
            // What berthd served is an image that skopeo understands.
            let inspected = try await Program.system("skopeo").check("inspect", "oci-archive:\(exported)")
            #expect(inspected.standardOutput.contains("\"Architecture\""))

            try await ctr.check("images", "rm", name)
            #expect(try await ctr.check("images", "ls", "-q").standardOutput == "")
            try await eventually("garbage collection to free the content") {
                try await ctr.check("content", "ls", "-q").standardOutput == ""
            }
        }
    }
}
