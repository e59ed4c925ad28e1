internal import Core
internal import NRIAPI

/// Which plugin has set which field of a container. A second one may not change it without a request to remove it first.
struct FieldClaims {
    let containerID: String
    private var simple: [NRIField: String] = [:]
    private var compound: [NRIField: [String: String]] = [:]

    init(containerID: String) {
        self.containerID = containerID
    }

    /// - Throws: `BerthError` (`failedPrecondition`) where another plugin was there before.
    mutating func claim(_ field: NRIField, _ key: String? = nil, by plugin: String) throws {
        let owner = key.map { compound[field]?[$0] } ?? simple[field]
        guard owner == nil || owner == plugin else {
            throw BerthError(
                .failedPrecondition,
                "plugins \(owner ?? "") and \(plugin) both set \(field.words)\(key.map { " \"\($0)\"" } ?? "") of container "
                    + "\"\(containerID)\"",
                advice: "remove one of them, or let the later one remove what it replaces")
        }
        if let key { compound[field, default: [:]][key] = plugin } else { simple[field] = plugin }
    }

    /// Several may add to it.
    mutating func note(_ field: NRIField, by plugin: String) {
        guard let owners = simple[field] else {
            simple[field] = plugin
            return
        }
        if !owners.split(separator: ",").contains(Substring(plugin)) { simple[field] = "\(owners),\(plugin)" }
    }

    mutating func release(_ field: NRIField, _ key: String? = nil) {
        if let key { compound[field]?[key] = nil } else { simple[field] = nil }
    }

    var message: NRIFieldOwners {
        NRIFieldOwners.with {
            for (field, plugin) in simple { $0.simple[Int32(field.rawValue)] = plugin }
            for (field, owners) in compound where !owners.isEmpty {
                $0.compound[Int32(field.rawValue)] = NRICompoundFieldOwners.with { $0.owners = owners }
            }
        }
    }
}

extension NRIField {
    /// `memLimit` as "mem limit".
    var words: String {
        "\(self)".reduce(into: "") { text, letter in
            if letter.isUppercase, text.last?.isLowercase == true { text += " " }
            text += letter.lowercased()
        }
    }
}

/// A name in an adjustment: what is to be set, or, with a `-` before it, what is to go.
struct Marked {
    let name: String
    let isRemoval: Bool

    init(_ text: String) {
        isRemoval = text.hasPrefix("-")
        name = isRemoval ? String(text.dropFirst()) : text
    }
}
