internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `mounts` with `rbind` and the options that reach the mounts below: `rro`, `rnosuid`, `rnoexec` (mount_setattr(2)).
@Suite struct OCIRecursiveMountTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func onlyRecursiveOptionsReachTheMountsBelow(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let below = try fixture.scratch.directory("data/below").string
            try await Program.system("mount").check("-t", "tmpfs", "tmpfs", below)
            let output = try await fixture.shell(
                """
                awk '$5 ~ "^/[prw]/" || $5 ~ "^/[prw]$" { print $5, $6 }' /proc/self/mountinfo | sort
                touch /p/below/f && echo made; touch /r/below/f 2> /dev/null || echo refused
                """,
                """
                .mounts += [["p", "ro", "noexec"], ["r", "rro", "rnosuid"], ["w"] | {"destination": "/\\(.[0])", "type": "bind",
                    "source": "\(fixture.scratch.path)/data", "options": (["rbind"] + .[1:])}]
                """)
            func options(_ path: String) -> Set<Substring> {
                let line = output.shown.first { $0.hasPrefix(path + " ") } ?? ""
                return Set(line.dropFirst(path.count + 1).split(separator: ","))
            }
            #expect(options("/p").isSuperset(of: ["ro", "noexec"]), "\(output)")
            #expect(options("/p/below").contains("rw") && !options("/p/below").contains("noexec"))
            #expect(options("/r").isSuperset(of: ["ro", "nosuid"]))
            #expect(options("/r/below").isSuperset(of: ["ro", "nosuid"]))
            #expect(options("/w").contains("rw") && options("/w/below").contains("rw"))
            #expect(output.shown.suffix(2) == ["made", "refused"])
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func bindWithoutRecursionLeavesThemOut(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let below = try fixture.scratch.directory("data/below").string
            try await Program.system("mount").check("-t", "tmpfs", "tmpfs", below)
            try fixture.scratch.file("data/below/file", "")
            let output = try await fixture.shell(
                "ls /bind/below; echo; ls /rbind/below",
                """
                .mounts += ["bind", "rbind" | {"destination": "/\\(.)", "type": "bind",
                    "source": "\(fixture.scratch.path)/data", "options": [.]}]
                """)
            #expect(output.standardOutput == "\nfile\n", "\(output)")
        }
    }
}
