internal import Testing

/// A time namespace with `linux.timeOffsets`.
@Suite struct OCITimeNamespaceTests {
    @Test(arguments: RuntimeUnderTest.knowing(.timeNamespaces))
    func clocksHaveTheirOffsets(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "awk '{ print $1, $2, $3 }' /proc/self/timens_offsets; cut -d . -f 1 /proc/uptime",
                """
                .linux.namespaces += [{"type": "time"}]
                | .linux.timeOffsets = {"monotonic": {"secs": 7881, "nanosecs": 2718281}, "boottime": {"secs": 100000000}}
                """)
            #expect(output.shown.prefix(2) == ["monotonic 7881 2718281", "boottime 100000000 0"], "\(output)")
            #expect((output.shown.last.flatMap { Int($0) } ?? 0) > 100_000_000)
        }
    }
}
