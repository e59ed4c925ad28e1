import Core
import LinuxKernel

/// How much memory this process took at the most while something ran, beyond what it had before.
public enum PeakMemory {
    /// In bytes. Other tests at the same time count too.
    public static func growth(_ body: () async throws -> Void) async throws -> Int {
        // proc(5): 5 sets the peak back.
        try Files.writeKernelFile("/proc/self/clear_refs", "5")
        let before = try value("VmRSS:")
        try await body()
        return try value("VmHWM:") - before
    }

    private static func value(_ key: String) throws -> Int {
        let status = try Files.readText("/proc/self/status")
        for line in status.split(separator: "\n") where line.hasPrefix(key) {
            let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            if fields.count > 1, let kilobytes = Int(fields[1]) { return kilobytes * 1024 }
        }
        throw BerthError(.internal, "/proc/self/status has no \(key)")
    }
}
