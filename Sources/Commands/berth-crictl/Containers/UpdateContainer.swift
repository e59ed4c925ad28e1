internal import ArgumentParser
internal import CRIAPI

struct UpdateContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Update one or more running containers",
        discussion: """
            EXAMPLE:
              berth-crictl update --memory 134217728 --cpu-quota 50000 --cpu-period 100000 3f2a91
            """)

    @Option(help: "CPU CFS period to be used for hardcapping (in usecs). 0 to use system default")
    var cpuPeriod: Int64 = 0

    @Option(
        parsing: .unconditional, help: "CPU CFS hardcap limit (in usecs). Allowed cpu time in a given period")
    var cpuQuota: Int64 = 0

    @Option(help: "CPU shares (relative weight vs. other containers)")
    var cpuShare: Int64 = 0

    @Option(parsing: .unconditional, help: "Memory limit (in bytes)")
    var memory: Int64 = 0

    @Option(help: "CPU(s) to use")
    var cpusetCpus = ""

    @Option(help: "Memory node(s) to use")
    var cpusetMems = ""

    @Option(parsing: .unconditional, help: "OOM Killer score to use")
    var oomScoreAdj: Int64 = 0

    @Argument(help: ArgumentHelp("Container ID or the beginning of one", valueName: "container-id"))
    var containers: [String]

    func run() async throws {
        let resources = Runtime_V1_LinuxContainerResources.with {
            $0.cpuPeriod = cpuPeriod
            $0.cpuQuota = cpuQuota
            $0.cpuShares = cpuShare
            $0.memoryLimitInBytes = memory
            $0.cpusetCpus = cpusetCpus
            $0.cpusetMems = cpusetMems
            $0.oomScoreAdj = oomScoreAdj
        }
        try await Connection.open { cri in
            for container in containers {
                let id = try await cri.containerID(container)
                try await doing("update container \(id)") {
                    _ = try await cri.runtime.updateContainerResources(
                        .with {
                            $0.containerID = id
                            $0.linux = resources
                        }, options: Session.current.acting)
                }
                Output.line(id)
            }
        }
    }
}
