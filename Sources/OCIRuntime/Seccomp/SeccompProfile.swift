internal import CSeccomp
internal import Core
internal import Glibc
internal import LinuxKernel
public import OCISpec
internal import Synchronization
internal import SystemPackage

/// Compiles seccomp profiles of the runtime specification to BPF, through libseccomp.
public enum SeccompProfile {
    private static let cache = Mutex<[RuntimeSpec.Linux.Seccomp: [UInt8]]>([:])

    /// - Returns: `struct sock_filter[]` for seccomp(2). The same profile is compiled once in the life of the process.
    /// - Throws: `BerthError` (`invalidArgument`) that names the field; `failedPrecondition` for an architecture or
    ///   action that the library does not know.
    public static func compile(_ profile: RuntimeSpec.Linux.Seccomp) throws -> [UInt8] {
        if let known = cache.withLock({ $0[profile] }) { return known }
        let program = try Compilation(profile).run()
        cache.withLock { cache in
            if cache.count >= 64 { cache.removeAll() }
            cache[profile] = program
        }
        return program
    }

    private static let flagBits: [(name: String, bit: UInt32)] = [
        ("SECCOMP_FILTER_FLAG_LOG", 2), ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4),
        // The process has one thread: there is nothing to synchronise.
        ("SECCOMP_FILTER_FLAG_TSYNC", 0),
        ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 32),
    ]

    static var flagNames: [String] { flagBits.map(\.name) }

    public static var libraryVersion: String {
        guard let version = seccomp_version()?.pointee else { return "unknown" }
        return "\(version.major).\(version.minor).\(version.micro)"
    }

    /// Those that the library here knows.
    static var architectureNames: [String] {
        let all = [
            "AARCH64", "ARM", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PARISC", "PARISC64",
            "PPC", "PPC64", "PPC64LE", "RISCV64", "S390", "S390X", "X32", "X86", "X86_64",
        ]
        return all.filter { seccomp_arch_resolve_name($0.lowercased()) != 0 }.map { "SCMP_ARCH_" + $0 }
    }

    /// SECCOMP_FILTER_FLAG_* bits of the profile.
    static func filterFlags(_ profile: RuntimeSpec.Linux.Seccomp) throws -> UInt32 {
        var bits: UInt32 = 0
        // Where nothing is said, without the cost of mitigations against speculation, as with runc.
        for (index, flag) in (profile.flags ?? ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]).enumerated() {
            guard let bit = flagBits.first(where: { $0.name == flag })?.bit else {
                throw BerthError.invalid(
                    field: "config.json: linux.seccomp.flags[\(index)]", value: flag.prefix(64), rule: "is unknown")
            }
            bits |= bit
        }
        return bits
    }

    /// The kernel's value of an action.
    static func action(_ name: String, errno: UInt32?, field: String) throws -> UInt32 {
        // EPERM, where the profile does not say.
        let data = (errno ?? 1) & 0xffff
        switch name {
        case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": return 0
        case "SCMP_ACT_KILL_PROCESS": return 0x8000_0000
        case "SCMP_ACT_TRAP": return 0x0003_0000
        case "SCMP_ACT_ERRNO": return 0x0005_0000 | data
        case "SCMP_ACT_TRACE": return 0x7ff0_0000 | data
        case "SCMP_ACT_LOG": return 0x7ffc_0000
        case "SCMP_ACT_ALLOW": return 0x7fff_0000
        case "SCMP_ACT_NOTIFY": return 0x7fc0_0000
        default: throw BerthError.invalid(field: field, value: name.prefix(64), rule: "is no seccomp action")
        }
    }

    public static let actions = [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
    ]

    static let operators: [String: scmp_compare] = [
        "SCMP_CMP_NE": SCMP_CMP_NE, "SCMP_CMP_LT": SCMP_CMP_LT, "SCMP_CMP_LE": SCMP_CMP_LE, "SCMP_CMP_EQ": SCMP_CMP_EQ,
        "SCMP_CMP_GE": SCMP_CMP_GE, "SCMP_CMP_GT": SCMP_CMP_GT, "SCMP_CMP_MASKED_EQ": SCMP_CMP_MASKED_EQ,
    ]

    public static let operatorNames = [
        "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
    ]

    /// The library's token of `SCMP_ARCH_...`.
    static func architecture(_ name: String, field: String) throws -> UInt32 {
        let prefix = "SCMP_ARCH_"
        let token = name.hasPrefix(prefix) ? seccomp_arch_resolve_name(name.dropFirst(prefix.count).lowercased()) : 0
        guard token != 0 else {
            throw BerthError.invalid(
                field: field, value: name.prefix(64), rule: "is no architecture that libseccomp knows")
        }
        return token
    }

    private struct Compilation {
        let profile: RuntimeSpec.Linux.Seccomp
        let context: scmp_filter_ctx

        init(_ profile: RuntimeSpec.Linux.Seccomp) throws {
            self.profile = profile
            let action = try SeccompProfile.action(
                profile.defaultAction, errno: profile.defaultErrnoRet, field: "config.json: linux.seccomp.defaultAction"
            )
            guard let context = seccomp_init(action) else {
                throw BerthError(
                    .failedPrecondition,
                    "config.json: linux.seccomp.defaultAction: libseccomp refused \(profile.defaultAction)")
            }
            self.context = context
        }

        func run() throws -> [UInt8] {
            defer { seccomp_release(context) }
            var architectures: [UInt32] = [seccomp_arch_native()]
            for (index, name) in (profile.architectures ?? []).enumerated() {
                let token = try architecture(name, field: "config.json: linux.seccomp.architectures[\(index)]")
                let result = seccomp_arch_add(context, token)
                guard result == 0 || result == -EEXIST else { throw failure("add architecture \(name)", result) }
                if !architectures.contains(token) { architectures.append(token) }
            }
            for (index, rule) in (profile.syscalls ?? []).enumerated() {
                try add(rule, field: "config.json: linux.seccomp.syscalls[\(index)]")
            }
            let program = try export()
            guard refusesByDefault else { return program }
            return unknownCallsPrologue(architectures) + program
        }

        private func failure(_ what: String, _ result: Int32) -> BerthError {
            BerthError(.failedPrecondition, "config.json: linux.seccomp: \(what)", cause: Errno(rawValue: -result))
        }

        private func add(_ rule: RuntimeSpec.Linux.Seccomp.Syscall, field: String) throws {
            let action = try SeccompProfile.action(rule.action, errno: rule.errnoRet, field: "\(field).action")
            let fallback = try SeccompProfile.action(
                profile.defaultAction, errno: profile.defaultErrnoRet, field: "config.json: linux.seccomp.defaultAction"
            )
            // The library refuses a rule that says what happens anyway.
            if action == fallback { return }
            var comparisons: [scmp_arg_cmp] = []
            for (index, argument) in (rule.args ?? []).enumerated() {
                guard let op = operators[argument.op] else {
                    throw BerthError.invalid(
                        field: "\(field).args[\(index)].op", value: argument.op.prefix(64), rule: "is no comparison")
                }
                comparisons.append(
                    scmp_arg_cmp(arg: argument.index, op: op, datum_a: argument.value, datum_b: argument.valueTwo ?? 0))
            }
            // Two comparisons of one argument in a rule are alternatives, as in every runtime of the field.
            let repeats = Set(comparisons.map(\.arg)).count < comparisons.count
            for name in rule.names {
                let number = seccomp_syscall_resolve_name(name)
                // -1: a name that this library does not know is one that no filter can match.
                if number == -1 { continue }
                let groups = repeats ? comparisons.map { [$0] } : [comparisons]
                for group in groups {
                    let result = seccomp_rule_add_array(context, action, number, UInt32(group.count), group)
                    guard result == 0 else { throw failure("\(field): add a rule for \(name)", result) }
                }
            }
        }

        private func export() throws -> [UInt8] {
            let file = try Syscall.memfdCreate("berth-seccomp")
            let result = seccomp_export_bpf(context, file.rawValue)
            guard result == 0 else { throw failure("compile the filter", result) }
            _ = try file.fd.seek(offset: 0, from: .start)
            return try Files.read(file.fd, limit: 4096 * 8)
        }

        // MARK: Calls that are newer than the profile

        private var refusesByDefault: Bool {
            !["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE"].contains(profile.defaultAction)
        }

        /// ENOSYS for every call with a number above all that the profile names: a libc that tries a new call falls back
        /// to the old one on ENOSYS, and fails on EPERM.
        private func unknownCallsPrologue(_ architectures: [UInt32]) -> [UInt8] {
            let x64: UInt32 = 0xC000_003E
            let x32: UInt32 = 0x4000_003E
            var blocks: [[Instruction]] = []
            for token in architectures where token != x32 {
                guard let last = lastCall(token) else { continue }
                var block: [Instruction]
                if token == x64 {
                    // Both have this architecture's value; a bit of the number tells them apart.
                    let lastX32 = architectures.contains(x32) ? lastCall(x32) ?? UInt32.max : UInt32.max
                    block = [
                        .jump(0x35, 0x4000_0000, then: 0, otherwise: 1),
                        .jump(0x25, lastX32 | 0x4000_0000, then: 1, otherwise: 2),
                        .jump(0x25, last, then: 0, otherwise: 1),
                        .answerENOSYS,
                    ]
                } else {
                    block = [.jump(0x25, last, then: 0, otherwise: 1), .answerENOSYS]
                }
                block = [.jump(0x15, token, then: 0, otherwise: UInt8(block.count + 2)), .load(0)] + block
                blocks.append(block)
            }
            // Each block ends with a jump over the following ones.
            var program: [Instruction] = []
            var following = 0
            for block in blocks.reversed() {
                program = block + [.skip(UInt32(following))] + program
                following = program.count
            }
            guard !program.isEmpty else { return [] }
            return ([.load(4)] + program).flatMap(\.bytes)
        }

        private func lastCall(_ token: UInt32) -> UInt32? {
            (profile.syscalls ?? []).flatMap(\.names)
                .map { seccomp_syscall_resolve_name_arch(token, $0) }
                .filter { $0 >= 0 }.max().map { UInt32($0) }
        }
    }

    /// struct sock_filter.
    private struct Instruction {
        let code: UInt16
        let then: UInt8
        let otherwise: UInt8
        let k: UInt32

        /// BPF_LD | BPF_W | BPF_ABS: of struct seccomp_data (0: number, 4: architecture).
        static func load(_ offset: UInt32) -> Instruction { .init(code: 0x20, then: 0, otherwise: 0, k: offset) }

        /// BPF_JMP | BPF_JEQ 0x15, JGT 0x25, JGE 0x35, with BPF_K.
        static func jump(_ code: UInt16, _ k: UInt32, then: UInt8, otherwise: UInt8) -> Instruction {
            .init(code: code, then: then, otherwise: otherwise, k: k)
        }

        static func skip(_ count: UInt32) -> Instruction { .init(code: 0x05, then: 0, otherwise: 0, k: count) }

        static let answerENOSYS = Instruction(code: 0x06, then: 0, otherwise: 0, k: 0x0005_0000 | 38)

        var bytes: [UInt8] {
            [UInt8(code & 0xff), UInt8(code >> 8), then, otherwise]
                + (0..<4).map { UInt8(truncatingIfNeeded: k >> (8 * UInt32($0))) }
        }
    }
}
