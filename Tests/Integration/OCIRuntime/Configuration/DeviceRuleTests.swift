internal import Testing

/// `linux.resources.devices`: files of cgroup v1, a program of v2. With the kernel's log, which is none of the devices
/// that each container may use.
@Suite struct OCIDeviceRuleTests {
    @Test(
        arguments: RuntimeUnderTest.allCases,
        [
            ([], []),
            ([#"{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"}"#], ["w"]),
            ([#"{"allow": true, "type": "c", "major": 1, "access": "rwm"}"#], ["w", "r"]),
            (
                [
                    #"{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw"}"#,
                    #"{"allow": false, "type": "c", "major": 1, "minor": 11, "access": "r"}"#,
                ], ["w"]
            ),
        ] as [([String], [String])])
    func rulesHoldInTheirOrder(
        _ kind: RuntimeUnderTest, _ rules: (json: [String], permitted: [String])
    ) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "(: > /dev/log) 2> /dev/null && echo w; (: < /dev/log) 2> /dev/null && echo r; true",
                """
                .linux.devices = [{"path": "/dev/log", "type": "c", "major": 1, "minor": 11, "fileMode": 438}]
                | .linux.resources.devices += [\(rules.json.joined(separator: ", "))]
                | ["CAP_SYSLOG"] as $syslog | .process.capabilities |= map_values(. + $syslog)
                """)
            #expect(output.shown == rules.permitted, "\(output)")
        }
    }
}
