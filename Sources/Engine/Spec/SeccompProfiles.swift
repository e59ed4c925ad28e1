internal import OCIRuntime
internal import OCISpec
internal import Synchronization

/// The default seccomp profile for each set of capabilities, kept once, so that containers share it in memory.
final class SeccompProfiles: Sendable {
    private static let limit = 32

    private let profiles = Mutex<[[String]: RuntimeSpec.Linux.Seccomp]>([:])

    func standard(capabilities: [String]) -> RuntimeSpec.Linux.Seccomp {
        profiles.withLock { profiles in
            if let profile = profiles[capabilities] { return profile }
            if profiles.count >= Self.limit { profiles.removeAll() }
            let profile = DefaultProfile.seccomp(capabilities: capabilities)
            profiles[capabilities] = profile
            return profile
        }
    }

    /// `spec` with the kept copy of its profile, where it is one of the defaults.
    func shared(_ spec: RuntimeSpec) -> RuntimeSpec {
        guard let own = spec.linux?.seccomp, let permitted = spec.process?.capabilities?.permitted else { return spec }
        let profile = standard(capabilities: permitted)
        guard profile == own else { return spec }
        var spec = spec
        spec.linux?.seccomp = profile
        return spec
    }
}
