internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `root` and `linux.rootfsPropagation`.
@Suite struct OCIRootTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func rootIsReadOnlyWhereItSaysSo(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let script = "touch /made 2> /dev/null && echo made || echo refused"
            let refused = try await fixture.shell(script, ".root.readonly = true")
            #expect(refused.standardOutput == "refused\n", "\(refused)")
            let made = try await fixture.shell(
                script, ".root.readonly = false | .root.path = \"\(fixture.bundle)/rootfs\"")
            #expect(made.standardOutput == "made\n", "\(made)")
            #expect(Files.exists(fixture.bundle.pushing("rootfs/made")))
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func nothingAboveTheRootIsSeen(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            // No old root, no mount of the host, and no way up.
            let output = try await fixture.shell(
                "ls -d /../bin/busybox; cut -d ' ' -f 5 /proc/self/mountinfo | sort -u")
            #expect(output.shown.first == "/../bin/busybox", "\(output)")
            let mounts = output.shown.dropFirst()
            #expect(mounts.first == "/")
            #expect(
                mounts.dropFirst().allSatisfy { $0.hasPrefix("/dev") || $0.hasPrefix("/proc") || $0.hasPrefix("/sys") })
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func mountsBelowTheRootComeWithIt(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let below = try fixture.scratch.directory("bundle/rootfs/below").string
            try await Program.system("mount").check("-t", "tmpfs", "tmpfs", below)
            try fixture.scratch.file("bundle/rootfs/below/file", "seen\n")
            let output = try await fixture.output(of: ["/bin/cat", "/below/file"])
            #expect(output.standardOutput == "seen\n", "\(output)")
        }
    }

    /// What mountinfo tells of the root: "shared:N" and "master:N" (mount_namespaces(7)).
    @Test(arguments: RuntimeUnderTest.allCases)
    func propagationIsThatOfTheConfiguration(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let rootfs = fixture.bundle.appending("rootfs").string
            try await Program.system("mount").check("--bind", rootfs, rootfs)
            try await Program.system("mount").check("--make-shared", rootfs)
            for (propagation, words) in [("shared", ["shared"]), ("slave", ["master"]), ("private", [])] {
                try await fixture.start(change: ".linux.rootfsPropagation = \"\(propagation)\"")
                let output = try await fixture.exec(
                    #"awk '$5 == "/" { for (i = 7; $i != "-"; i++) print substr($i, 1, index($i, ":") - 1) }' /proc/self/mountinfo"#
                )
                #expect(output.code == 0, "\(output)")
                #expect(output.shown == (kind.has(.rootPropagation) ? words : []), "\(propagation): \(output)")
                let outside = MountTable.below(FilePath(rootfs), in: try MountTable.read())
                #expect(outside.count == 1, "\(propagation): no mount of the container is the host's: \(outside)")
                try await fixture.runtime.check("delete", "--force", "c1")
            }
        }
    }
}
