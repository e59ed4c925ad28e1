/// The process's umask, read without changing it (umask(2) can only do both, for all threads at once).
public enum FileCreationMask {
    public static var current: UInt32 {
        guard let text = try? Files.readText("/proc/self/status", limit: 65536) else { return 0o777 }
        for line in text.split(separator: "\n") where line.hasPrefix("Umask:") {
            return UInt32(line.dropFirst("Umask:".count).drop { $0 == "\t" || $0 == " " }, radix: 8) ?? 0o777
        }
        return 0o777
    }
}
