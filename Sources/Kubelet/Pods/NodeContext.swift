internal import Foundation
internal import Logging

/// What every pod worker is given.
struct NodeContext: Sendable {
    let runtime: any ContainerRuntime
    let configuration: KubeletConfiguration
    let facts: NodeFacts
    /// As the runtime calls itself; the scheme of container IDs in statuses.
    let runtimeName: String
    let log: Logger
}
