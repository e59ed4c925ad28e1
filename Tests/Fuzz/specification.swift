// sources: OCISpec OCIRuntime
// links: Core LinuxKernel LaunchAPI CheckpointAPI SwiftProtobuf SystemPackage Logging CKernel CSystem CSeccomp
// A config.json on its way to a launch plan, for a host of each kind of cgroups: it is refused, or the plan keeps the rules
// that the launcher checks.
internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import SystemPackage

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    onlyOwnErrors {
        let spec = try StrictJSON.decode(RuntimeSpec.self, from: bytes, what: "config.json")
        for cgroups in [hybrid, unified] {
            for user in [0, 1000] as [UInt32] {
                onlyOwnErrors {
                    try compile(spec, HostFacts(cgroups: cgroups, cpuset: ("0-1", "0"), effectiveUserID: user))
                }
            }
        }
        if let again = try? StrictJSON.encode(spec) {
            let second = try StrictJSON.decode(RuntimeSpec.self, from: again, what: "again")
            guard try StrictJSON.encode(second) == again else {
                trap("a specification changes when it is written again")
            }
        }
    }
    onlyOwnErrors {
        let process = try StrictJSON.decode(RuntimeSpec.Process.self, from: bytes, what: "process.json")
        let target = ExecTarget(
            id: "box", pid: 7, namespaces: [.pid, .mount], cgroup: Cgroup(host: unified, path: "/box"), linux: nil)
        let plan = try PlanCompiler(facts: HostFacts(cgroups: unified)).compileExec(
            process: process, container: target, options: options)
        check(plan)
    }
    onlyOwnErrors {
        let resources = try StrictJSON.decode(RuntimeSpec.Linux.Resources.self, from: bytes, what: "resources.json")
        onlyOwnErrors { _ = try ResourceWrites.compile(resources, on: hybrid) }
        _ = try ResourceWrites.compile(resources, on: unified)
    }
    return 0
}

private func compile(_ spec: RuntimeSpec, _ facts: HostFacts) throws {
    let plan = try PlanCompiler(facts: facts).compile(spec, options: options)
    check(plan)
    guard try PlanCompiler(facts: facts).compile(spec, options: options) == plan else {
        trap("the same configuration gives two plans")
    }
    _ = PlanPrinter.text(plan)
}

private func check(_ plan: Berth_Launch_V1_Plan) {
    var cloned = false
    for (index, step) in plan.steps.enumerated() {
        if step.place == .child, !cloned { trap("step \(index + 1) is the child's and stands before its clone") }
        guard let action = step.action, !step.words.isEmpty else { trap("step \(index + 1) has no action or no words") }
        switch action {
        case .clone:
            if cloned { trap("two clones") }
            cloned = true
        case .exec: if index != plan.steps.count - 1 { trap("exec is not the last step") }
        case .makeDirectory(let action): absolute(action.path, index)
        case .writeFile(let action): absolute(action.path, index)
        case .bindMount(let action): absolute(action.source, index)
        default: break
        }
    }
    guard cloned, case .exec = plan.steps.last?.action else { trap("a plan without a clone or an exec") }
    guard let bytes: [UInt8] = try? plan.serializedBytes(), bytes.count < 64 << 20 else {
        trap("the plan cannot be written")
    }
}

private func absolute(_ path: String, _ index: Int) {
    if !path.hasPrefix("/") || path.utf8.contains(0) { trap("step \(index + 1) has the host path \(path)") }
}

nonisolated(unsafe) private let options: CompileOptions = {
    var options = CompileOptions(id: "box", bundle: "/bundle")
    options.cgroupSurvey = CgroupSurvey(missing: [], cpuset: ("0-1", "0"))
    return options
}()

private let hybrid = CgroupHost(
    layout: .hybrid,
    hierarchies: ["cpu", "cpuset", "memory", "devices", "blkio", "pids", "hugetlb", "net_cls", "net_prio", "rdma"].map {
        CgroupHierarchy(mountpoint: FilePath("/sys/fs/cgroup/\($0)"), controllers: [$0], isUnified: false)
    } + [CgroupHierarchy(mountpoint: "/sys/fs/cgroup/unified", controllers: [], isUnified: true)])

private let unified = CgroupHost(
    layout: .unified,
    hierarchies: [
        CgroupHierarchy(
            mountpoint: "/sys/fs/cgroup", controllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"],
            isUnified: true)
    ])
