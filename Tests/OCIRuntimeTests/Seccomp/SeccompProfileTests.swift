internal import Core
internal import OCIRuntime
internal import OCISpec
internal import Testing

@Suite struct SeccompProfileTests {
    /// A filter as the kernel would run it (seccomp(2), BPF of sock_filter), for the instructions that occur.
    struct Filter {
        let program: [UInt8]

        func answer(call: UInt32, architecture: UInt32 = 0xC000_003E, arguments: [UInt64] = []) throws -> UInt32 {
            var data = [UInt32](repeating: 0, count: 16)
            data[0] = call
            data[1] = architecture
            for (index, value) in arguments.enumerated() {
                data[4 + index * 2] = UInt32(truncatingIfNeeded: value)
                data[5 + index * 2] = UInt32(truncatingIfNeeded: value >> 32)
            }
            var position = 0
            var accumulator: UInt32 = 0
            while position * 8 + 8 <= program.count {
                let bytes = program[(position * 8)..<(position * 8 + 8)].map { UInt32($0) }
                let code = bytes[0] | bytes[1] << 8
                let k = bytes[4] | bytes[5] << 8 | bytes[6] << 16 | bytes[7] << 24
                position += 1
                switch code {
                case 0x20: accumulator = data[Int(k / 4)]
                case 0x54: accumulator &= k
                case 0x15: position += Int(accumulator == k ? bytes[2] : bytes[3])
                case 0x25: position += Int(accumulator > k ? bytes[2] : bytes[3])
                case 0x35: position += Int(accumulator >= k ? bytes[2] : bytes[3])
                case 0x05: position += Int(k)
                case 0x06: return k
                default: throw BerthError(.internal, "instruction \(code)")
                }
            }
            throw BerthError(.internal, "ran off the end")
        }
    }

    static let allow: UInt32 = 0x7fff_0000
    static let notPermitted: UInt32 = 0x0005_0001
    static let unknown: UInt32 = 0x0005_0026

    private func compile(_ profile: RuntimeSpec.Linux.Seccomp) throws -> Filter {
        Filter(program: try SeccompProfile.compile(profile))
    }

    #if arch(x86_64)
    @Test func theDefaultProfileAllowsWhatProgramsNeedAndNotMore() throws {
        let filter = try compile(DefaultProfile.seccomp())
        #expect(try filter.answer(call: 0) == Self.allow)  // read
        #expect(try filter.answer(call: 165) == Self.notPermitted)  // mount
        #expect(try filter.answer(call: 246) == Self.notPermitted)  // kexec_load
        #expect(try filter.answer(call: 425) == Self.notPermitted)  // io_uring_setup
        #expect(try filter.answer(call: 435) == Self.unknown)  // clone3
        #expect(try filter.answer(call: 56, arguments: [0x11]) == Self.allow)  // clone
        #expect(try filter.answer(call: 56, arguments: [0x1000_0011]) == Self.notPermitted)  // clone(CLONE_NEWUSER)
        #expect(try filter.answer(call: 135, arguments: [0xffff_ffff]) == Self.allow)  // personality
        #expect(try filter.answer(call: 135, arguments: [0x40000]) == Self.notPermitted)
        #expect(try filter.answer(call: 41, arguments: [2]) == Self.allow)  // socket(AF_INET)
        #expect(try filter.answer(call: 41, arguments: [40]) == Self.notPermitted)  // socket(AF_VSOCK)
    }

    @Test func capabilitiesWidenTheDefaultProfile() throws {
        let filter = try compile(DefaultProfile.seccomp(capabilities: ["CAP_SYS_ADMIN"]))
        #expect(try filter.answer(call: 165) == Self.allow)
        #expect(try filter.answer(call: 56, arguments: [0x1000_0011]) == Self.allow)
    }

    /// A libc that tries a call which is newer than the profile falls back on ENOSYS, and fails on EPERM.
    @Test func callsThatAreNewerThanTheProfileAnswerENOSYS() throws {
        let filter = try compile(DefaultProfile.seccomp())
        #expect(try filter.answer(call: 600) == Self.unknown)
        #expect(try filter.answer(call: 0x4000_0000 + 900) == Self.unknown)  // x32
        #expect(try filter.answer(call: 700, architecture: 0x4000_0003) == Self.unknown)  // x86
        #expect(try filter.answer(call: 3, architecture: 0x4000_0003) == Self.allow)  // x86 read
    }

    @Test func comparisonsOfOneArgumentAreAlternatives() throws {
        var profile = RuntimeSpec.Linux.Seccomp(defaultAction: "SCMP_ACT_ALLOW")
        profile.syscalls = [
            .init(
                names: ["getcwd"], action: "SCMP_ACT_ERRNO", errnoRet: 5,
                args: [
                    .init(index: 0, value: 1, op: "SCMP_CMP_EQ"), .init(index: 0, value: 2, op: "SCMP_CMP_EQ"),
                ])
        ]
        let filter = try compile(profile)
        for (value, answer) in [(UInt64(1), 0x0005_0005), (2, 0x0005_0005), (3, Self.allow)] as [(UInt64, UInt32)] {
            #expect(try filter.answer(call: 79, arguments: [value]) == answer)
        }
    }
    #endif

    @Test func unknownCallsAreSkippedAndUnknownActionsAreNot() throws {
        var profile = RuntimeSpec.Linux.Seccomp(defaultAction: "SCMP_ACT_ALLOW")
        profile.syscalls = [.init(names: ["no_such_call", "getcwd"], action: "SCMP_ACT_KILL_PROCESS")]
        #expect(try !SeccompProfile.compile(profile).isEmpty)
        profile.syscalls = [.init(names: ["getcwd"], action: "SCMP_ACT_X")]
        let error = #expect(throws: BerthError.self) { try SeccompProfile.compile(profile) }
        #expect(error?.message.contains("linux.seccomp.syscalls[0].action") == true)
        profile.syscalls = nil
        profile.architectures = ["SCMP_ARCH_Z80"]
        #expect(throws: BerthError.self) { try SeccompProfile.compile(profile) }
    }
}
