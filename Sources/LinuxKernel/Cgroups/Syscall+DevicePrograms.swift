internal import CKernel
public import SystemPackage

extension Syscall {
    /// bpf(2) BPF_PROG_LOAD of a BPF_PROG_TYPE_CGROUP_DEVICE program.
    public static func loadDeviceProgram(_ instructions: [UInt64]) throws(Errno) -> OwnedDescriptor {
        try descriptor(berth_bpf_load_device_program(instructions, instructions.count, nil, 0))
    }

    /// Attaches it to a cgroup2, besides those that are there: each must allow an access.
    public static func attachDeviceProgram(_ program: FileDescriptor, to cgroup: FileDescriptor) throws(Errno) {
        // BPF_F_ALLOW_MULTI
        try check(berth_bpf_attach_device_program(cgroup.rawValue, program.rawValue, 2))
    }
}
