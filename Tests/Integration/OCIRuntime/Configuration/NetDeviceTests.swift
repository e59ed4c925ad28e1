internal import Testing

/// `linux.netDevices`.
@Suite struct OCINetDeviceTests {
    @Test(arguments: RuntimeUnderTest.knowing(.netDevices))
    func devicesMoveWithTheirAddressesUnderTheirNewName(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(
                ["/bin/sh", "-c", "ls /sys/class/net; ip -o -4 addr show eth7 | awk '{ print $4 }'"],
                ".linux.netDevices = {\"box0\": {\"name\": \"eth7\"}, \"box2\": {}}")
            // In a network namespace of their own, from which the runtime takes them.
            let output = try await Program.system("unshare").run(
                "--net", "sh", "-c",
                """
                ip link add box0 type veth peer name box1 && ip link add box2 type veth peer name box3
                ip address add 10.9.8.7/24 dev box0 && ip link set box0 up && ip link set box1 up
                \(fixture.call) run --bundle \(fixture.bundle) c1; echo $?; ls /sys/class/net
                """)
            #expect(output.shown.prefix(5) == ["box2", "eth7", "lo", "10.9.8.7/24", "0"], "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.knowing(.netDevices))
    func missingDeviceIsRefused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell("echo ran", ".linux.netDevices = {\"none0\": {}}")
            #expect(output.code == 1)
            #expect(output.standardOutput == "")
            #expect(output.standardError.contains("none0"), "\(output)")
        }
    }
}
