internal import Core
internal import OCISpec
internal import SystemPackage

/// One call of a plugin, as the spec wants it: environment and standard input. Pure.
struct CNIInvocation: Equatable {
    enum Command: String {
        case add = "ADD"
        case delete = "DEL"
        case check = "CHECK"
        case version = "VERSION"
        case status = "STATUS"
        case garbageCollect = "GC"
    }

    let command: Command
    let plugin: String
    /// `CNI_*` alone.
    let environment: [String: String]
    let input: [UInt8]

    /// The attachment's parameters: ADD, DEL and CHECK.
    init(
        _ command: Command, plugin: CNIConfiguration.Plugin, name: String, version: CNIVersion,
        attachment: CNIAttachment, path: [FilePath], previous: JSONValue?
    ) throws {
        self.command = command
        self.plugin = plugin.type
        environment = [
            "CNI_COMMAND": command.rawValue, "CNI_CONTAINERID": attachment.podID,
            "CNI_NETNS": attachment.networkNamespace, "CNI_IFNAME": attachment.interfaceName,
            "CNI_ARGS": attachment.arguments, "CNI_PATH": path.map(\.string).joined(separator: ":"),
        ]
        var members = Self.members(plugin, name: name, version: version)
        let runtime = attachment.runtimeConfig.filter { plugin.capabilities.contains($0.key) }
        if !runtime.isEmpty { members.append(.init("runtimeConfig", .object(runtime))) }
        if let previous { members.append(.init("prevResult", previous)) }
        input = try StrictJSON.encode(JSONValue.object(members))
    }

    /// STATUS and GC, which are about the network.
    init(
        _ command: Command, plugin: CNIConfiguration.Plugin, name: String, version: CNIVersion, path: [FilePath],
        validAttachments: [(podID: String, interfaceName: String)]? = nil
    ) throws {
        self.command = command
        self.plugin = plugin.type
        environment = ["CNI_COMMAND": command.rawValue, "CNI_PATH": path.map(\.string).joined(separator: ":")]
        var members = Self.members(plugin, name: name, version: version)
        if let validAttachments {
            let list = validAttachments.map {
                JSONValue.object([.init("containerID", .string($0.podID)), .init("ifname", .string($0.interfaceName))])
            }
            members.append(.init("cni.dev/valid-attachments", .array(list)))
        }
        input = try StrictJSON.encode(JSONValue.object(members))
    }

    init(versionOf plugin: String, asking version: CNIVersion, path: [FilePath]) throws {
        command = .version
        self.plugin = plugin
        environment = [
            "CNI_COMMAND": Command.version.rawValue, "CNI_PATH": path.map(\.string).joined(separator: ":"),
        ]
        input = try StrictJSON.encode(
            JSONValue.object([.init("cniVersion", .string(version.description))]))
    }

    /// The plugin's object with the list's name and version; what only the runtime may say is left out.
    private static func members(
        _ plugin: CNIConfiguration.Plugin, name: String, version: CNIVersion
    ) -> [JSONValue.Member] {
        let own: Set = [
            "name", "cniVersion", "cniVersions", "capabilities", "runtimeConfig", "prevResult", "disableCheck",
            "disableGC",
            "cni.dev/valid-attachments",
        ]
        return plugin.object.filter { !own.contains($0.key) } + [
            .init("name", .string(name)), .init("cniVersion", .string(version.description)),
        ]
    }
}
