internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `mounts[].uidMappings` and `gidMappings`, with a tmpfs as source, which can be mapped since Linux 6.3.
@Suite(.enabled(if: KernelRelease.isAtLeast(6, 3))) struct OCIIDMappedMountTests {
    @Test(arguments: RuntimeUnderTest.knowing(.idMappedMounts))
    func ownersAreMappedBothWays(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let data = try fixture.scratch.directory("data").string
            try await Program.system("mount").check("-t", "tmpfs", "tmpfs", data)
            let file = try fixture.scratch.file("data/file", "").string
            try await Program.system("chown").check("0:7", file)
            let output = try await fixture.shell(
                "stat -c '%u %g' /data/file /plain/file; touch /data/made; chown 1003:2004 /data/made",
                """
                ["CAP_CHOWN"] as $chown
                | .process.capabilities |= map_values(. + $chown)
                | .mounts += [{"destination": "/data", "type": "bind", "source": "\(data)", "options": ["bind", "idmap"],
                        "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
                        "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 10}]},
                    {"destination": "/plain", "type": "bind", "source": "\(data)", "options": ["bind"]}]
                | .process.user = {"uid": 1000, "gid": 2000}
                """)
            #expect(output.shown.prefix(2) == ["1000 2007", "0 7"], "\(output)")
            let made = try await Program.system("stat").check("-c", "%u %g", data + "/made")
            #expect(made.standardOutput == "0 0\n", "\(made)")
        }
    }

    @Test(arguments: RuntimeUnderTest.knowing(.idMappedMounts))
    func whatAContainerMountsInThemStaysInside(_ kind: RuntimeUnderTest) async throws {
        let mappings = #"[{"containerID": 0, "hostID": 1000, "size": 10}]"#
        try await OCIFixture.with(kind) { fixture in
            try await fixture.expectMountsStayInside(
                ".", bind: "{\"uidMappings\": \(mappings), \"gidMappings\": \(mappings)}")
        }
    }
}
