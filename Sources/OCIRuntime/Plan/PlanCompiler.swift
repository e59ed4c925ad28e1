internal import Core
public import LaunchAPI
internal import LinuxKernel
public import OCISpec
internal import SystemPackage

/// Compiles configurations into launch plans: everything is decided here, and nothing is done.
///
/// The same input gives the same plan on every machine: what it needs of the host is in `facts` and in the options.
public struct PlanCompiler: Sendable {
    public let facts: HostFacts

    public init(facts: HostFacts) {
        self.facts = facts
    }

    /// The plan of a container.
    ///
    /// - Throws: `BerthError`: `invalidArgument` for what breaks the specification, `unimplemented` for a field that
    ///   is not supported yet, `failedPrecondition` for what this host cannot do. Each names the field.
    public func compile(_ spec: RuntimeSpec, options: CompileOptions) throws -> Berth_Launch_V1_Plan {
        try spec.validate()
        guard let process = spec.process else { throw BerthError(.invalidArgument, "config.json: process: is missing") }
        var compilation = try ContainerCompilation(facts: facts, spec: spec, process: process, options: options)
        return try compilation.run()
    }

    /// The plan of one more process in a container that runs.
    public func compileExec(
        process: RuntimeSpec.Process, container: ExecTarget, options: CompileOptions
    ) throws -> Berth_Launch_V1_Plan {
        try process.validate()
        var compilation = ExecCompilation(facts: facts, process: process, target: container, options: options)
        return try compilation.run()
    }
}

/// Fields that no step carries out yet: they are refused, never ignored.
func refuseUnsupported(_ spec: RuntimeSpec) throws {
    let linux = spec.linux
    let unsupported: [(String, Bool)] = [
        ("linux.personality.flags", linux?.personality?.flags?.isEmpty == false)
    ]
    for (field, present) in unsupported where present { throw unimplemented(field) }
}

func unimplemented(_ field: String) -> BerthError {
    BerthError(.unimplemented, "config.json: \(field): is not supported by this version")
}
