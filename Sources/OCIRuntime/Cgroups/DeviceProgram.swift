internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// Device rules as an eBPF program of cgroup2 (BPF_PROG_TYPE_CGROUP_DEVICE): the last rule that fits an access decides.
struct DeviceProgram {
    /// struct bpf_insn each.
    private(set) var instructions: [UInt64] = []

    /// BPF_DEVCG_ACC_MKNOD, _READ, _WRITE.
    private static let accessBits: [(Character, Int32)] = [("m", 1), ("r", 2), ("w", 4)]

    init(_ rules: [DeviceRules.Rule]) {
        // struct bpf_cgroup_dev_ctx {u32 access_type (type | access << 16), major, minor} is in r1.
        loadWord(2, offset: 0)
        emit(0x54, destination: 2, immediate: 0xffff)  // w2: type
        loadWord(3, offset: 0)
        emit(0x74, destination: 3, immediate: 16)  // w3: access
        loadWord(4, offset: 4)
        loadWord(5, offset: 8)
        for rule in rules.reversed() {
            // The verifier refuses what cannot be reached: nothing stands behind a rule that fits everything.
            if add(rule) { return }
        }
        // No rule fits: refused.
        emit(0xb4, destination: 0, immediate: 0)
        emit(0x95)
    }

    /// - Returns: whether it fits every access.
    private mutating func add(_ rule: DeviceRules.Rule) -> Bool {
        var tests: [(code: UInt8, destination: UInt8, source: UInt8, immediate: Int32)] = []
        switch rule.type ?? "a" {
        case "b": tests.append((0x55, 2, 0, 1))
        case "c": tests.append((0x55, 2, 0, 2))
        default: break
        }
        let access = rule.access ?? ""
        let mask = access.isEmpty ? 7 : Self.accessBits.reduce(Int32(0)) { access.contains($1.0) ? $0 | $1.1 : $0 }
        if let major = rule.major, major >= 0 { tests.append((0x55, 4, 0, Int32(truncatingIfNeeded: major))) }
        if let minor = rule.minor, minor >= 0 { tests.append((0x55, 5, 0, Int32(truncatingIfNeeded: minor))) }

        // Each test jumps over the rest of this rule where it does not fit. A rule for some of the accesses: an allow must
        // cover all that is asked, a deny is met by any of it.
        let partial = mask != 7
        let length = tests.count + (partial ? 3 : 0) + 2
        for (index, test) in tests.enumerated() {
            emit(test.code, destination: test.destination, offset: Int16(length - index - 1), immediate: test.immediate)
        }
        if partial {
            emit(0xbc, destination: 1, source: 3)  // w1 = w3
            emit(0x54, destination: 1, immediate: mask)
            // The jump stands before the two instructions of the answer.
            if rule.allow {
                emit(0x5d, destination: 1, source: 3, offset: 2)  // the masked access is not the whole
            } else {
                emit(0x15, destination: 1, offset: 2, immediate: 0)  // nothing of it is asked
            }
        }
        emit(0xb4, destination: 0, immediate: rule.allow ? 1 : 0)
        emit(0x95)
        return tests.isEmpty && !partial
    }

    /// r = *(u32 *)(r1 + offset). The context's pointer is lost when w1 is used, so all loads stand first.
    private mutating func loadWord(_ destination: UInt8, offset: Int16) {
        emit(0x61, destination: destination, source: 1, offset: offset)
    }

    private mutating func emit(
        _ code: UInt8, destination: UInt8 = 0, source: UInt8 = 0, offset: Int16 = 0, immediate: Int32 = 0
    ) {
        instructions.append(
            UInt64(code) | UInt64(destination | source << 4) << 8 | UInt64(UInt16(bitPattern: offset)) << 16
                | UInt64(UInt32(bitPattern: immediate)) << 32)
    }

    var bytes: [UInt8] { instructions.withUnsafeBytes { Array($0) } }

    /// Whether this kernel takes such programs at all (CONFIG_CGROUP_BPF).
    static var isSupported: Bool {
        (try? Syscall.loadDeviceProgram(DeviceProgram([]).instructions)) != nil
    }

    func attach(to cgroup: FilePath) throws(Errno) {
        let directory = try Syscall.open(cgroup, [.readOnly, .directory])
        let program = try Syscall.loadDeviceProgram(instructions)
        try Syscall.attachDeviceProgram(program.fd, to: directory.fd)
    }
}
