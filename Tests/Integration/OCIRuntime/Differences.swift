/// What not every runtime under test has: the list of differences between ours and Debian's runc (1.1.5, written against
/// runtime-spec 1.0.2), each with its reason. A test of such a feature runs with the runtimes that
/// `RuntimeUnderTest.knowing` names, or looks for what the other does (`has`); every other test runs with both.
enum Feature: CaseIterable, Sendable {
    // Fields of config.json.
    case cpuBurst, domainname, execCPUAffinity, idMappedMounts, ioPriority, memoryPolicy, netDevices, personality
    case reservedHugepages, rootPropagation, scheduler, timeNamespaces

    // Behaviour.
    case allCPUsOfTheHost, cgroupManagerOption, deleteOfAKilledCreate, emptyCgroupsOnly, errorOfMissingRoot
    case killOfSharedPIDs, pidfdSocket, plans, poststartAfterStart, poststopHooksAfterAFailedOne, pressureStatistics
    case umaskOfExec

    /// The runtime that does not have it, and why.
    var lacking: (runtime: RuntimeUnderTest, reason: String) {
        switch self {
        case .cpuBurst: (.runc, "cpu.burst and cpu.idle are of runtime-spec 1.1; runc writes them from 1.2 on")
        case .domainname: (.runc, "of runtime-spec 1.1; runc sets it from 1.2 on")
        case .execCPUAffinity: (.runc, "of runtime-spec 1.2.1; runc reads it from 1.3 on")
        case .idMappedMounts: (.runc, "of runtime-spec 1.1; runc makes them from 1.2 on")
        case .ioPriority: (.runc, "of runtime-spec 1.1; runc reads it from 1.2 on")
        case .memoryPolicy: (.runc, "of runtime-spec 1.3; runc sets it from 1.4 on")
        case .netDevices: (.runc, "of runtime-spec 1.3; runc moves them from 1.4 on")
        case .personality: (.runc, "runc sets it from 1.2 on")
        case .reservedHugepages: (.runc, "limits the huge pages in use; those reserved too from 1.2 on")
        case .rootPropagation: (.runc, "makes a root that is itself a mount private, whatever it is to be")
        case .scheduler: (.runc, "of runtime-spec 1.1; runc reads it from 1.2 on")
        case .timeNamespaces: (.runc, "of runtime-spec 1.1; runc makes them from 1.2 on")

        case .allCPUsOfTheHost: (.runc, "hands its caller's CPU affinity on to the container; reset from 1.2 on")
        case .cgroupManagerOption: (.runc, "--cgroup-manager is crun's, taken for podman's sake")
        case .deleteOfAKilledCreate: (.runc, "leaves the cgroup: delete --force looks for nothing without a state")
        case .emptyCgroupsOnly: (.runc, "joins a cgroup with processes of others; refused from 1.2 on")
        case .errorOfMissingRoot: (.runc, "lists nothing for a --root that is not there; an error from 1.2 on")
        case .killOfSharedPIDs:
            (.runc, "ends the first process alone where the host's PIDs are shared; every one from 1.2 on")
        case .pidfdSocket: (.runc, "has --pidfd-socket from 1.2 on")
        case .plans: (.runc, "plans, and that --debug and --trace tell their steps, are ours")
        case .poststartAfterStart: (.runc, "runs poststart hooks at the end of create")
        case .poststopHooksAfterAFailedOne: (.runc, "leaves the other poststop hooks out after one that fails")
        case .pressureStatistics: (.runc, "tells pressure stall information from 1.2 on")
        case .umaskOfExec: (.runc, "does not read user.umask of exec --process")
        }
    }
}

extension RuntimeUnderTest {
    func has(_ feature: Feature) -> Bool { feature.lacking.runtime != self }

    /// The runtimes that have a feature.
    static func knowing(_ feature: Feature) -> [RuntimeUnderTest] { allCases.filter { $0.has(feature) } }
}
