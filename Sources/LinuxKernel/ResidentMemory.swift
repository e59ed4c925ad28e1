internal import Glibc

/// Gives back text that only start-up, or a burst of work, has run.
///
/// The kernel maps sixteen pages of a program for each one that runs, and never lets go of them by itself while memory
/// is free; most of a large program's text then counts as resident although nothing will run it again.
public enum ResidentMemory {
    /// Unmaps the program's text, and that of its libraries. What is in use comes back from the page cache with
    /// some hundred minor faults, which take about a millisecond together.
    public static func trim() {
        for range in textMappings((try? Files.readText("/proc/self/maps", limit: 4 << 20)) ?? "") {
            // Never written, so that nothing is lost.
            madvise(UnsafeMutableRawPointer(bitPattern: range.lowerBound), range.count, MADV_DONTNEED)
        }
    }

    /// Executable mappings of files that cannot have been written (`r-xp`), out of proc_pid_maps(5).
    static func textMappings(_ maps: String) -> [Range<UInt>] {
        maps.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            guard fields.count == 6, fields[1] == "r-xp", fields[5].drop(while: { $0 == " " }).hasPrefix("/") else {
                return nil
            }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[0] < ends[1] else { return nil }
            return ends[0]..<ends[1]
        }
    }
}
