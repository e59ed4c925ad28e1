internal import ArgumentParser
internal import Core
internal import Glibc
internal import LinuxKernel
internal import OCIRuntime

struct Events: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Prints statistics of a container: CPU, memory, processes, I/O.")

    @Flag(help: "Once, and not again and again.")
    var stats = false

    @Option(help: "Seconds between two prints.")
    var interval = "5s"

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        let container = try globals.runtime.container(id)
        guard container.status() != .stopped else {
            throw BerthError(.failedPrecondition, "container with id \(id) is not running")
        }
        let digits = interval.hasSuffix("s") ? String(interval.dropLast()) : interval
        guard let seconds = UInt32(digits), seconds > 0 else {
            throw BerthError.invalid(
                field: "--interval", value: interval, rule: "must be a number of seconds such as 5s")
        }
        repeat {
            try Output.json(StatisticsEvent(id: id, statistics: container.cgroup.statistics()), pretty: false)
            if stats { return }
            sleep(seconds)
        } while container.status() != .stopped
    }
}
