internal import Core
internal import LinuxKernel
@testable internal import Networking
internal import SystemPackage
internal import TestSupport
internal import Testing

@Suite struct LeaseDirectoryTests {
    private let scratch: ScratchDirectory
    private let pools: [AddressPool]

    init() throws {
        scratch = try ScratchDirectory("leases")
        pools = try BridgeSite(
            bridge: "b",
            ranges: [
                [AddressRange(subnet: IPAddressPrefix("10.1.0.0/29"))],
                [AddressRange(subnet: IPAddressPrefix("fd00::/64"))],
            ]
        ).pools
    }

    private func allocate(_ directory: LeaseDirectory, _ pod: String) throws -> [String] {
        try directory.allocate(podID: pod, interface: "eth0", pools: pools).map(\.address.description)
    }

    @Test func aLeaseIsAFileWithThePodsID() throws {
        let directory = LeaseDirectory(path: scratch.appending("net"))
        #expect(try allocate(directory, "one") == ["10.1.0.2", "fd00::2"])
        #expect(try Files.readText(scratch.appending("net/10.1.0.2")) == "one\neth0")
        #expect(try directory.leases(of: "one").map(\.address.description) == ["10.1.0.2", "fd00::2"])
    }

    @Test func leasesSurviveARestart() throws {
        let path = scratch.appending("net")
        _ = try allocate(LeaseDirectory(path: path), "one")
        let next = LeaseDirectory(path: path)
        #expect(try allocate(next, "two") == ["10.1.0.3", "fd00::3"])
        #expect(try next.all().count == 4)
        try next.release(podID: "one")
        try next.release(podID: "one")
        #expect(try Files.list(path).filter { $0 != "last" } == ["10.1.0.3", "fd00::3"])
    }

    @Test func aFreedAddressIsNotGivenAgainAtOnce() throws {
        let directory = LeaseDirectory(path: scratch.appending("net"))
        _ = try allocate(directory, "one")
        try directory.release(podID: "one")
        #expect(try allocate(directory, "two").first == "10.1.0.3")
        let restarted = LeaseDirectory(path: scratch.appending("net"))
        try restarted.release(podID: "two")
        #expect(try allocate(restarted, "three").first == "10.1.0.4")
    }

    @Test func twoDaemonsOnOneDirectoryNeverShareAnAddress() throws {
        let (first, second) = (
            LeaseDirectory(path: scratch.appending("net")), LeaseDirectory(path: scratch.appending("net"))
        )
        _ = try first.all()
        _ = try second.all()
        let taken = try (0..<4).flatMap { [try allocate($0 % 2 == 0 ? first : second, "pod\($0)")[0]] }
        #expect(Set(taken).count == 4)
    }

    @Test func aFullPoolIsAnErrorAndKeepsNothing() throws {
        let directory = LeaseDirectory(path: scratch.appending("net"))
        for number in 0..<5 { _ = try allocate(directory, "pod\(number)") }
        let error = #expect(throws: BerthError.self) { try allocate(directory, "late") }
        #expect(error?.code == .resourceExhausted)
        #expect(error?.message.contains("10.1.0.1 to 10.1.0.6") == true)
        #expect(try directory.leases(of: "late").isEmpty)
        // The second pool's failure gives back what the first one gave.
        let reversed = Array(pools.reversed())
        #expect(throws: BerthError.self) {
            try directory.allocate(podID: "late", interface: "eth0", pools: reversed)
        }
        #expect(try directory.leases(of: "late").isEmpty)
        #expect(try Files.list(scratch.appending("net")).filter { $0.hasPrefix(".") }.isEmpty)
    }

    @Test func garbageIsWhatNoKnownPodHolds() throws {
        let directory = LeaseDirectory(path: scratch.appending("net"))
        _ = try allocate(directory, "one")
        _ = try allocate(directory, "two")
        // An empty file, as a power cut of another program may leave.
        try scratch.file("net/10.1.0.6", "")
        try scratch.file("net/.new.abc", "x")
        let restarted = LeaseDirectory(path: scratch.appending("net"))
        try restarted.release(except: ["two"])
        #expect(try restarted.all().map(\.podID) == ["two", "two"])
        #expect(try Files.list(scratch.appending("net")).sorted() == ["10.1.0.3", "fd00::3", "last"])
    }
}
