@testable internal import LinuxKernel
internal import Testing

@Suite struct ResidentMemoryTests {
    @Test func onlyTextThatCannotHaveBeenWrittenIsChosen() {
        let maps = """
            55d0a000-55d0c000 r--p 00000000 fe:00 12                                 /usr/bin/x
            55d0c000-55d10000 r-xp 00002000 fe:00 12                                 /usr/bin/x
            55d10000-55d11000 rw-p 00006000 fe:00 12                                 /usr/bin/x
            55d20000-55d21000 r-xp 00000000 00:00 0\u{20}
            55d30000-55d31000 rwxp 00000000 fe:00 13                                 /usr/lib/a folder/y.so
            55d40000-55d42000 r-xp 00000000 fe:00 13                                 /usr/lib/a folder/y.so
            7ffc0000-7ffc2000 r-xp 00000000 00:00 0                                  [vdso]
            """
        #expect(ResidentMemory.textMappings(maps) == [0x55d0_c000..<0x55d1_0000, 0x55d4_0000..<0x55d4_2000])
    }

    /// What is given back is there again when it is run or read.
    @Test func trimmedProcessGoesOn() throws {
        let before = try resident()
        ResidentMemory.trim()
        #expect(try resident() < before)
        #expect(String(repeating: "ab", count: 3) == "ababab")
    }

    /// File-backed pages, in KiB.
    private func resident() throws -> Int {
        let status = try Files.readText("/proc/self/status")
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssFile:") })
        return try #require(Int(line.split(whereSeparator: { !$0.isNumber }).first ?? ""))
    }
}
