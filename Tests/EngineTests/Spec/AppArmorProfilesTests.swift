import Core
import LinuxKernel
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("AppArmor profiles") struct AppArmorProfilesTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory("apparmor")
    }

    private func profiles(_ loaded: String?, isEnabled: Bool = true) throws -> AppArmorProfiles {
        var profiles = AppArmorProfiles(isEnabled: isEnabled)
        profiles.listing = scratch.appending("profiles")
        if let loaded { try Files.writeAtomically(profiles.listing, Array(loaded.utf8)) }
        return profiles
    }

    private func security(_ profile: SecurityProfile?, privileged: Bool = false) -> ContainerSecurityContext {
        var security = ContainerSecurityContext()
        security.apparmor = profile
        security.privileged = privileged
        return security
    }

    @Test func theDefaultProfileIsForWhoAsksForItOrForNothing() throws {
        let node = try profiles("berth-default (enforce)\n/usr/bin/man (enforce)\n")
        #expect(try node.profile(of: security(nil)) == "berth-default")
        #expect(try node.profile(of: security(.runtimeDefault)) == "berth-default")
        #expect(try node.profile(of: security(.unconfined)) == nil)
        #expect(try node.profile(of: security(nil, privileged: true)) == nil)
        #expect(try node.profile(of: security(.localhost("/usr/bin/man"))) == "/usr/bin/man")
    }

    @Test(arguments: [SecurityProfile.localhost("absent"), .localhost("berth"), .localhost("man"), .runtimeDefault])
    func aProfileThatIsNotLoadedIsRefusedByName(profile: SecurityProfile) throws {
        let node = try profiles("berth (mine) (complain)\nman (1) (enforce)\n")
        let error = #expect(throws: BerthError.self) { try node.profile(of: security(profile)) }
        #expect(error?.code == .failedPrecondition)
        #expect(error?.message.contains("is not loaded") == true)
        #expect(try node.profile(of: security(.localhost("berth (mine)"))) == "berth (mine)")
        #expect(try node.profile(of: security(nil)) == nil, "who asks for nothing can do without")
    }

    @Test func aKernelWithoutAppArmorHasNone() throws {
        let node = try profiles(nil, isEnabled: false)
        for profile in [SecurityProfile.localhost("mine"), .runtimeDefault] {
            let error = #expect(throws: BerthError.self) { try node.profile(of: security(profile)) }
            #expect(error?.message.contains("this kernel has no AppArmor") == true)
        }
        #expect(try node.profile(of: security(nil)) == nil)
        #expect(try node.profile(of: security(.unconfined)) == nil)
    }

    /// Compiled as it is for the kernel, and not given to it.
    @Test(.enabled(if: Files.exists("/sbin/apparmor_parser"), "needs apparmor_parser"))
    func theDefaultProfileCompiles() async throws {
        var node = try profiles("")
        try await node.parse(["--skip-kernel-load", "--skip-cache", "--quiet"])
        let error = await #expect(throws: BerthError.self) { try await node.parse(["--no-such-option"]) }
        #expect(error?.message.contains("refuses profile berth-default") == true)
        node.parser = "/nonexistent/apparmor_parser"
        let missing = await #expect(throws: BerthError.self) { try await node.loadDefault() }
        #expect(missing?.code == .notFound)
    }
}
