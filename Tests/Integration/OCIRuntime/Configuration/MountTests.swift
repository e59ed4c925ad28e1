internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `mounts`: sources, targets and options of mount(2). What else mounts can do has a file of its own.
@Suite struct OCIMountTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func directoriesAndFilesAreBoundToTargetsThatAreMade(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.file("data/file", "from the host\n")
            let output = try await fixture.shell(
                """
                cat /mnt/deep/data/file; echo x > /mnt/deep/data/file || echo refused
                echo changed > /etc/new/file; cat /relative/file
                """,
                """
                .mounts += [
                    {"destination": "/mnt/deep/data", "type": "bind", "source": "\(fixture.scratch.path)/data", "options": ["rbind", "ro"]},
                    {"destination": "/etc/new/file", "source": "\(fixture.scratch.path)/data/file", "options": ["bind"]},
                    {"destination": "/relative", "type": "bind", "source": "../data", "options": ["bind"]}]
                """)
            #expect(output.shown == ["from the host", "refused", "changed"], "\(output)")
        }
    }

    /// "The runtime MUST mount entries in the listed order."
    @Test(arguments: RuntimeUnderTest.allCases)
    func theyAreMadeInTheirOrder(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.file("data/file", "above\n")
            try fixture.scratch.file("bundle/rootfs/a/hidden", "")
            let output = try await fixture.shell(
                "ls /a; cat /a/b/file",
                """
                .mounts += [{"destination": "/a", "type": "tmpfs", "source": "tmpfs"},
                    {"destination": "/a/b", "type": "bind", "source": "\(fixture.scratch.path)/data", "options": ["bind"]}]
                """)
            #expect(output.shown == ["b", "above"], "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func optionsHold(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.file("data/program", "#!/bin/sh\necho ran\n", mode: 0o755)
            let output = try await fixture.shell(
                """
                for m in /t /data; do awk -v m=$m '$5 == m { print $6 }' /proc/self/mountinfo; done
                stat -c %a /t; df -k /t | awk 'NR == 2 { print $2 }'
                /data/program 2> /dev/null || echo refused; /runs/program
                """,
                """
                .mounts += [{"destination": "/t", "type": "tmpfs", "source": "tmpfs",
                        "options": ["nosuid", "nodev", "noexec", "noatime", "mode=710", "size=64k"]},
                    {"destination": "/data", "type": "bind", "source": "\(fixture.scratch.path)/data",
                        "options": ["bind", "ro", "nosuid", "nodev", "noexec", "noatime"]},
                    {"destination": "/runs", "type": "bind", "source": "\(fixture.scratch.path)/data", "options": ["bind"]}]
                """)
            let flags = "nosuid,nodev,noexec,noatime"
            #expect(output.shown == ["rw,\(flags)", "ro,\(flags)", "710", "64", "refused", "ran"], "\(output)")
        }
    }

    /// Of the container's image, which could name a place of the host.
    @Test(arguments: RuntimeUnderTest.allCases)
    func symlinksOnTheWayToATargetStayInTheRoot(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.file("data/file", "inside\n")
            let outside = try fixture.scratch.directory("outside").string
            let rootfs = fixture.bundle.appending("rootfs").string
            try await Program.system("ln").check("-s", outside, "\(rootfs)/absolute")
            try await Program.system("ln").check("-s", "../../../../../..\(outside)", "\(rootfs)/upwards")
            let output = try await fixture.shell(
                "cat /absolute/one/file /upwards/two/file",
                ".mounts += [\"absolute/one\", \"upwards/two\" | {\"destination\": \"/\\(.)\", \"type\": \"bind\", "
                    + "\"source\": \"\(fixture.scratch.path)/data\", \"options\": [\"bind\"]}]")
            #expect(output.shown == ["inside", "inside"], "\(output)")
            #expect(try Files.list(FilePath(outside)) == [])
        }
    }
}
