internal import CRIAPI
private import Foundation
internal import Terminal

/// CPU shares from two samples, and tables that are redrawn.
enum Sampling {
    /// The share of one CPU in percent between two samples.
    static func share(from old: Runtime_V1_CpuUsage, to new: Runtime_V1_CpuUsage) -> String {
        let time = new.timestamp - old.timestamp
        let (used, isBackwards) = new.usageCoreNanoSeconds.value.subtractingReportingOverflow(
            old.usageCoreNanoSeconds.value)
        guard time > 0, !isBackwards else { return "0.00" }
        return String(format: "%.2f", Double(used) / Double(time) * 100)
    }

    static func show(watch: Bool, _ table: () async throws -> TextTable) async throws {
        guard watch else { return Output.table(try await table()) }
        while !Task.isCancelled {
            let next = try await table()
            if TerminalOutput.standardOutput.isRich { TerminalOutput.standardOutput.write("\u{1B}[2J\u{1B}[H") }
            Output.table(next)
            try await Task.sleep(for: .milliseconds(500))
        }
    }
}
