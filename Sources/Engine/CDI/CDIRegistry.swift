internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage
internal import Yams

/// The CDI specifications of this host. They are read anew for each container that names devices: drivers write them when
/// they come up.
struct CDIRegistry: Sendable {
    private static let fileLimit = 4 << 20
    private static let annotationPrefix = "cdi.k8s.io/"

    /// A later one wins.
    let directories: [FilePath]

    /// The devices that a container asks for: by CRI's field, and by the annotations that device plugins used before it.
    static func names(_ config: ContainerConfig) -> [String] {
        var names = config.cdiDevices
        for (key, value) in config.annotations.sorted(by: { $0.key < $1.key }) where key.hasPrefix(annotationPrefix) {
            names += value.split(separator: ",").map { String($0.drop { $0 == " " }) }
        }
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    /// What the named devices change, each specification's common edits before those of its devices.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) for a name that is none or that no specification has, or that two
    ///   specifications of one directory have.
    func edits(for names: [String]) throws -> CDIEdits {
        var result = CDIEdits()
        guard !names.isEmpty else { return result }
        var broken: [String] = []
        let layers = directories.map { load($0, &broken) }
        var common: Set<String> = []
        for name in names {
            let (kind, device) = try Self.parse(name)
            guard let (path, specification, found) = try find(kind, device, in: layers) else {
                throw BerthError(
                    .invalidArgument,
                    "config.CDI_devices: no CDI specification has device \"\(name)\""
                        + (broken.isEmpty ? "" : " (unreadable: \(broken.joined(separator: "; ")))"))
            }
            if common.insert(path).inserted, let edits = specification.containerEdits { result.append(edits) }
            if let edits = found.containerEdits { result.append(edits) }
        }
        guard result.intelRdt == nil, result.netDevices?.isEmpty != false else {
            throw BerthError(
                .unimplemented, "config.CDI_devices: edits with intelRdt or netDevices are not carried out here")
        }
        return result
    }

    private typealias Files = [(path: String, specification: CDISpecification)]

    private func find(
        _ kind: String, _ device: String, in layers: [Files]
    ) throws -> (path: String, CDISpecification, CDISpecification.Device)? {
        for files in layers.reversed() {
            let found = files.compactMap { path, specification in
                specification.kind != kind
                    ? nil : specification.devices?.first { $0.name == device }.map { (path, specification, $0) }
            }
            guard found.count <= 1 else {
                throw BerthError(
                    .invalidArgument,
                    "config.CDI_devices: \"\(kind)=\(device)\" is in both \(found[0].0) and \(found[1].0)")
            }
            if let only = found.first { return only }
        }
        return nil
    }

    private func load(_ directory: FilePath, _ broken: inout [String]) -> Files {
        // A directory that is not there holds nothing.
        let names = ((try? LinuxKernel.Files.list(directory)) ?? []).sorted()
        return names.compactMap { name in
            guard name.hasSuffix(".json") || name.hasSuffix(".yaml") else { return nil }
            let path = directory.appending(name)
            do {
                return ("\(path)", try Self.read(path))
            } catch {
                broken.append("\(path): \(error)")
                return nil
            }
        }
    }

    private static func read(_ path: FilePath) throws -> CDISpecification {
        let bytes = try LinuxKernel.Files.read(path, limit: fileLimit)
        let specification =
            path.extension == "json"
            ? try StrictJSON.decode(CDISpecification.self, from: bytes, what: "CDI specification")
            : try YAMLDecoder().decode(CDISpecification.self, from: String(decoding: bytes, as: UTF8.self))
        guard let major = specification.cdiVersion.split(separator: ".").first, major == "0" || major == "1" else {
            throw BerthError.invalid(
                field: "cdiVersion", value: specification.cdiVersion, rule: "is not a version from 0.1.0 to 1.x")
        }
        return specification
    }

    /// `vendor.com/class=name`.
    static func parse(_ name: String) throws -> (kind: String, device: String) {
        let parts = name.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let kind = parts[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        func isWord(_ text: Substring, _ more: String) -> Bool {
            !text.isEmpty
                && text.utf8.allSatisfy { byte in
                    let character = Character(UnicodeScalar(byte))
                    return character.isASCII && (character.isLetter || character.isNumber || more.contains(character))
                }
        }
        guard parts.count == 2, kind.count == 2, isWord(kind[0], "_-."), isWord(kind[1], "_-"), isWord(parts[1], "_-.:")
        else {
            throw BerthError.invalid(
                field: "config.CDI_devices", value: name, rule: "must be of the form vendor.com/class=name")
        }
        return (String(parts[0]), String(parts[1]))
    }
}
