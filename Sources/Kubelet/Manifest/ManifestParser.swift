internal import Core
internal import Foundation

/// Turns the text of a manifest file into validated pods.
enum ManifestParser {
    struct Result: Equatable, Sendable {
        var pods: [Pod]
        /// Fields that were accepted and change nothing, in words.
        var warnings: [String]
    }

    private struct Header: Codable {
        let apiVersion: String?
        let kind: String?
    }

    /// - Parameter path: the file, part of each pod's identity as for a kubelet's static pods.
    /// - Throws: `BerthError` that names the document, the field, the value and the rule.
    static func parse(_ text: String, path: String, nodeName: String) throws -> Result {
        let documents = try ManifestValue.documents(in: text)
        guard !documents.isEmpty else { throw BerthError(.invalidArgument, "manifest is empty") }
        var result = Result(pods: [], warnings: [])
        var names: Set<String> = []
        for (index, document) in documents.enumerated() {
            let notes = StrictManifest.Notes()
            do {
                for pod in try pods(in: document, notes: notes) {
                    let ready = try identified(pod, path: path, nodeName: nodeName)
                    guard names.insert(ready.fullName).inserted else {
                        throw BerthError.invalid(
                            field: "metadata.name", value: ready.fullName, rule: "is defined twice in this file")
                    }
                    result.pods.append(ready)
                }
            } catch {
                guard documents.count > 1 else { throw error }
                throw BerthError.wrapping(error, "document \(index + 1)")
            }
            result.warnings += notes.warnings
        }
        return result
    }

    private static func pods(in document: ManifestValue, notes: StrictManifest.Notes) throws -> [Pod] {
        guard case .object(let fields) = document else {
            throw BerthError.invalid(
                field: "document", value: document.shown, rule: "must be a mapping, not \(document.kind)")
        }
        guard case .string(let kind) = fields["kind"] else {
            throw BerthError(.invalidArgument, "kind is required")
        }
        guard case .string(let version) = fields["apiVersion"] else {
            throw BerthError(.invalidArgument, "apiVersion is required")
        }
        guard version == "v1", ["Pod", "PodList", "List"].contains(kind) else {
            throw BerthError.invalid(
                field: "kind", value: "\(version) \(kind)".prefix(120), rule: "must be v1 Pod or v1 PodList")
        }
        guard kind != "Pod" else { return [try StrictManifest.decode(Pod.self, from: document, notes: notes)] }
        for name in fields.keys.sorted() where !["apiVersion", "kind", "metadata", "items"].contains(name) {
            throw BerthError(.invalidArgument, "\(name) is an unknown field")
        }
        guard case .array(let items) = fields["items"] else {
            throw BerthError(.invalidArgument, "items is required and must be a list")
        }
        return try items.enumerated().map { index, item in
            guard case .object(var pod) = item else {
                throw BerthError.invalid(field: "items[\(index)]", value: item.shown, rule: "must be a mapping")
            }
            // Items of a typed list may leave out their own kind.
            if kind == "PodList" {
                pod["apiVersion"] = pod["apiVersion"] ?? .string("v1")
                pod["kind"] = pod["kind"] ?? .string("Pod")
            }
            do {
                return try pods(in: .object(pod), notes: notes).first
            } catch {
                throw BerthError.wrapping(error, "items[\(index)]")
            }
        }.compactMap { $0 }
    }

    private static func identified(_ pod: Pod, path: String, nodeName: String) throws -> Pod {
        var ready = pod
        ready.applyDefaults()
        try PodValidation.validate(ready)
        // Of what was written, without defaults, so that new defaults do not replace running pods.
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let content = String(decoding: try encoder.encode(pod), as: UTF8.self)
        ready.metadata.uid = Fingerprint.of([nodeName, path, content])
        return ready
    }
}

/// Identity of a pod's content: FNV-1a with 128 bits. Manifests are the administrator's own, so collisions by intent do
/// not matter; equality over restarts does.
enum Fingerprint {
    static func of(_ parts: [String]) -> String {
        var hash: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
        for part in parts {
            for byte in part.utf8 {
                hash = (hash ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
            }
            hash = (hash ^ 0xff) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }
}
