internal import ContainerdAPI
internal import Core
internal import Engine
internal import SwiftProtobuf

extension Google_Protobuf_Timestamp {
    /// - Parameter nanoseconds: since 1970.
    init(nanoseconds: Int64) {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        self.init(seconds: rest < 0 ? seconds - 1 : seconds, nanos: Int32(rest < 0 ? rest + 1_000_000_000 : rest))
    }

    /// Since 1970; `nil` outside the years that 64 bits of nanoseconds hold.
    var nanoseconds: Int64? {
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, secondOverflow) = scaled.addingReportingOverflow(Int64(nanos))
        return overflow || secondOverflow ? nil : sum
    }
}

extension Containerd_Types_Descriptor {
    init(_ descriptor: ImageDescriptor) {
        self.init()
        mediaType = descriptor.mediaType.rawValue
        digest = descriptor.digest.description
        size = descriptor.size
        annotations = descriptor.annotations ?? [:]
    }

    func decoded(field: String) throws -> ImageDescriptor {
        guard size >= 0 else {
            throw BerthError.invalid(field: "\(field).size", value: size, rule: "must not be negative")
        }
        return ImageDescriptor(
            mediaType: ImageMediaType(rawValue: mediaType), digest: try Digest(digest), size: size,
            annotations: annotations.isEmpty ? nil : annotations)
    }
}

extension Containerd_Types_Mount {
    init(_ mount: (type: String, source: String, options: [String])) {
        self.init()
        type = mount.type
        source = mount.source
        options = mount.options
    }
}

/// The part of an update that concerns labels: the field mask names `labels`, `labels.KEY`, or nothing for everything.
struct LabelUpdate {
    /// Changes; an empty value removes the label.
    var labels: [String: String]
    var replacesAll: Bool

    init(mask: [String], labels: [String: String], kind: String) throws {
        self.labels = [:]
        replacesAll = mask.isEmpty || mask.contains("labels")
        if replacesAll { self.labels = labels }
        for path in mask where path != "labels" {
            guard path.hasPrefix("labels.") else {
                throw BerthError.invalid(field: "update_mask", value: path, rule: "cannot be updated on \(kind)")
            }
            let key = String(path.dropFirst("labels.".count))
            self.labels[key] = labels[key] ?? ""
        }
    }
}

/// A field of an object that has labels, for filters.
func labelField(_ labels: [String: String], _ path: [String].SubSequence) -> String? {
    labels[path.joined(separator: ".")]
}
