internal import ArgumentParser
internal import OCIRuntime
internal import OCISpec

struct State: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Prints the state of a container as JSON.")

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        try Self.perform(id, globals)
    }

    static func perform(_ id: String, _ globals: GlobalOptions) throws {
        try Output.json(ContainerListing(try globals.runtime.container(id)))
    }
}

/// What `state` and `list --format json` print of a container: the state document, and what runc adds.
struct ContainerListing: Encodable {
    let ociVersion: String
    let id: String
    let pid: Int32
    let status: ContainerState.Status
    let bundle: String
    let rootfs: String
    let created: String
    let annotations: [String: String]?
    let owner: String

    init(_ container: KnownContainer) {
        let state = container.state()
        ociVersion = state.ociVersion
        id = state.id
        pid = state.pid ?? 0
        status = state.status
        bundle = state.bundle
        rootfs = container.stored.rootfs
        created = container.stored.created
        annotations = state.annotations
        owner = OwnUser.name(container.stored.owner)
    }
}
