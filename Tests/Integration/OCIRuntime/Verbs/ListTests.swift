internal import Testing

/// The verb `list`.
@Suite struct OCIListTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func containersAreListedInEachForm(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try fixture.scratch.directory("state")
            let empty = try await fixture.runtime.run("list", "--format", "json")
            #expect(empty.standardOutput == "null\n" && empty.code == 0, "\(empty)")
            try await fixture.start()
            try await fixture.configure(["/bin/true"], ".linux.cgroupsPath = \"/\(fixture.mark)/c2\"")
            #expect(try await fixture.runtime.run("run", "--keep", "--bundle", fixture.bundle.string, "c2").code == 0)

            #expect(try await fixture.runtime.check("list", "--quiet").shown == ["c1", "c2"])
            let table = try await fixture.runtime.check("list").lines.map { $0.split(separator: " ").prefix(4) }
            let pid = try #require(try await fixture.state()["pid"])
            #expect(table.first == ["ID", "PID", "STATUS", "BUNDLE"])
            #expect(table.dropFirst().first == ["c1", Substring(pid), "running", Substring(fixture.bundle.string)])
            #expect(table.last?.prefix(3) == ["c2", "0", "stopped"])
            let json = try await fixture.runtime.check("list", "--format", "json").standardOutput
            let statuses = try await Program.system("jq").check("-c", "map([.id, .status, .owner])", input: json)
            #expect(statuses.standardOutput == "[[\"c1\",\"running\",\"root\"],[\"c2\",\"stopped\",\"root\"]]\n")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func fieldsHaveAnOrderThatReadersKnow(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start()
            let list = try await fixture.runtime.check("list", "--format", "json").standardOutput
            #expect(list.hasPrefix("[{\"ociVersion\":\"1."), "\(list)")
            let order = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"]
                .compactMap { list.ranges(of: "\"\($0)\":").first?.lowerBound }
            #expect(order.count == 8 && order == order.sorted())
        }
    }

    /// An empty list would hide a mistyped path.
    @Test(arguments: RuntimeUnderTest.knowing(.errorOfMissingRoot))
    func rootThatIsNotThereIsRefused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let root = fixture.scratch.appending("none/root")
            let list = try await kind.program(root: root).run("list")
            #expect(list.code == 1)
        }
    }
}
