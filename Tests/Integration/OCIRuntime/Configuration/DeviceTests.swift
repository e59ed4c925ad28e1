internal import Testing

/// `linux.devices`, and the devices that each container has (config-linux.md, "Default Devices").
@Suite struct OCIDeviceTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func nodesAreMade(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "cd /dev; for d in deep/char block pipe; do stat -c '%F %t:%T %a %u %g' $d; done",
                """
                .linux.devices = [
                    {"path": "/dev/deep/char", "type": "c", "major": 10, "minor": 229, "fileMode": 416, "uid": 5, "gid": 6},
                    {"path": "/dev/block", "type": "b", "major": 7, "minor": 3, "fileMode": 384},
                    {"path": "/dev/pipe", "type": "p", "fileMode": 438}]
                """)
            #expect(
                output.shown == [
                    "character special file a:e5 640 5 6", "block special file 7:3 600 0 0", "fifo 0:0 666 0 0",
                ], "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func defaultOnesAreThereAndWork(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                """
                cd /dev; stat -c '%t:%T %a' null zero full random urandom tty; for l in ptmx fd stdin stdout stderr; do readlink $l; done
                ls -d pts shm;                 echo x > null && head -c 2 zero | wc -c; echo x > full || head -c 3 urandom | wc -c
                """)
            let nodes = ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"].map { "\($0) 666" }
            let links = ["pts/ptmx", "/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"]
            #expect(output.shown == nodes + links + ["pts", "shm", "2", "3"], "\(output)")
        }
    }
}
