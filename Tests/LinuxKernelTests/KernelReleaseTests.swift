import LinuxKernel
import Testing

@Suite struct KernelReleaseTests {
    @Test(arguments: [
        ("6.18.44-fc-v595\n", 6, 18), ("6.1.176", 6, 1), ("5.4", 5, 4), ("6.12-rc3+", 6, 12), ("10.0-generic", 10, 0),
    ])
    func releasesOfDistributionsAreRead(_ text: String, _ major: Int, _ minor: Int) {
        #expect(KernelRelease(text) == KernelRelease(major, minor))
    }

    @Test(arguments: ["", "6", "six.one", "6.x", ".1"])
    func whatIsNoReleaseIsNone(_ text: String) { #expect(KernelRelease(text) == nil) }

    @Test func laterReleasesAreGreater() throws {
        #expect(KernelRelease(5, 19) < KernelRelease(6, 1))
        #expect(KernelRelease(6, 9) < KernelRelease(6, 12))
        #expect(try #require(KernelRelease.running) > KernelRelease(4, 0))
        #expect(KernelRelease.isAtLeast(4, 0) && !KernelRelease.isAtLeast(99, 0))
    }
}
