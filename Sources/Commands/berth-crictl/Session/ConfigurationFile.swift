internal import CRIAPI
internal import Core
private import Foundation
private import Terminal

/// The files that describe pods and containers, in JSON or YAML.
enum ConfigurationFile {
    private static let largest = 4 << 20

    /// The text of a small file; `-` is standard input.
    static func text(at path: String) throws -> String {
        let handle: FileHandle
        if path == "-" {
            handle = .standardInput
        } else {
            guard FileManager.default.fileExists(atPath: path) else {
                throw BerthError(.notFound, "config \(path) does not exist")
            }
            guard let opened = FileHandle(forReadingAtPath: path) else {
                throw BerthError(.permissionDenied, "config \(path) cannot be read")
            }
            handle = opened
        }
        let data = try handle.read(upToCount: largest + 1) ?? Data()
        guard data.count <= largest else {
            throw BerthError(.invalidArgument, "config \(path) is larger than \(largest) bytes")
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw BerthError(.invalidArgument, "config \(path) is not UTF-8 text")
        }
        return text
    }

    private static func document(at path: String) throws -> JSONValue {
        let text = try text(at: path)
        // Real JSON first: YAML's rules for escapes and large numbers differ.
        if text.first(where: { !$0.isWhitespace }) == "{" { return try JSONValue(parsing: text) }
        return try JSONValue(parsingYAML: text)
    }

    static func pod(at path: String) throws -> Runtime_V1_PodSandboxConfig {
        do {
            var config = try MessageConfiguration.decode(Runtime_V1_PodSandboxConfig.self, from: document(at: path))
            guard config.hasMetadata else { throw BerthError(.invalidArgument, "metadata is not set") }
            guard !config.metadata.name.isEmpty else { throw BerthError(.invalidArgument, "metadata.name is not set") }
            guard !config.metadata.namespace.isEmpty else {
                throw BerthError(.invalidArgument, "metadata.namespace is not set")
            }
            if config.metadata.uid.isEmpty { config.metadata.uid = UUID().uuidString.lowercased() }
            return config
        } catch {
            throw BerthError.wrapping(error, "pod config \(path)")
        }
    }

    static func container(at path: String) throws -> Runtime_V1_ContainerConfig {
        do {
            var config = try MessageConfiguration.decode(Runtime_V1_ContainerConfig.self, from: document(at: path))
            guard config.hasMetadata else { throw BerthError(.invalidArgument, "metadata is not set") }
            guard !config.metadata.name.isEmpty else { throw BerthError(.invalidArgument, "metadata.name is not set") }
            guard !config.image.image.isEmpty else { throw BerthError(.invalidArgument, "image.image is not set") }
            if config.image.userSpecifiedImage.isEmpty { config.image.userSpecifiedImage = config.image.image }
            return config
        } catch {
            throw BerthError.wrapping(error, "container config \(path)")
        }
    }
}
