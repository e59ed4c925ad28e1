internal import Testing

/// `process.capabilities`: CHOWN is bit 0, KILL 5, NET_BIND_SERVICE 10, AUDIT_WRITE 29.
@Suite struct OCICapabilityTests {
    private static let show = "awk '/^Cap/ { print $1, $2 }' /proc/1/status"

    private static func masks(_ inheritable: Int, _ permitted: Int, _ effective: Int, _ bounding: Int, _ ambient: Int)
        -> [String]
    {
        zip(["Inh", "Prm", "Eff", "Bnd", "Amb"], [inheritable, permitted, effective, bounding, ambient]).map {
            let digits = String($1, radix: 16)
            return "Cap\($0): \(String(repeating: "0", count: 16 - digits.count))\(digits)"
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func eachOfTheFiveSetsIsSet(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                Self.show,
                """
                .process.user.uid = 1000 | .process.capabilities = {
                    "bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"], "permitted": ["CAP_KILL", "CAP_CHOWN"],
                    "effective": ["CAP_KILL"], "inheritable": ["CAP_KILL", "CAP_CHOWN"], "ambient": ["CAP_KILL"]}
                """)
            // What a program without file capabilities has after execve(2): the ambient ones.
            #expect(output.shown == Self.masks(0x21, 0x20, 0x20, 0x421, 0x20), "\(output)")
        }
    }

    /// capabilities(7): "no capability can ever be ambient if it is not both permitted and inheritable".
    @Test(arguments: RuntimeUnderTest.allCases)
    func whatIsNotInheritableIsNotAmbient(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                Self.show, ".process.user.uid = 1000 | .process.capabilities.ambient = .process.capabilities.permitted")
            #expect(output.shown == Self.masks(0, 0, 0, 0x2000_0420, 0), "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func rootHasNoMoreThanItsBounds(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "\(Self.show); chown 5 /dev/null || echo refused",
                """
                .process.capabilities = {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]}
                """)
            #expect(output.shown == Self.masks(0, 0x20, 0x20, 0x20, 0) + ["refused"], "\(output)")
            let none = try await fixture.shell(Self.show, "del(.process.capabilities)")
            #expect(none.shown == Self.masks(0, 0, 0, 0, 0), "\(none)")
        }
    }
}
