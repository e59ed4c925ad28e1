internal import Core

/// A plugin's place and name, as `10-name`: two digits, which order the calls, and a word.
struct PluginName: Hashable, Sendable, CustomStringConvertible {
    let index: String
    let name: String

    var description: String { "\(index)-\(name)" }

    /// - Throws: `BerthError` (`invalidArgument`)
    init(index: String, name: String) throws {
        guard index.utf8.count == 2, index.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw BerthError.invalid(field: "plugin index", value: index, rule: "must be two digits")
        }
        let isWord = name.utf8.allSatisfy { byte in
            let letter = Character(UnicodeScalar(byte))
            return letter.isASCII && (letter.isLetter || letter.isNumber || "-_.+".contains(letter))
        }
        guard !name.isEmpty, isWord else {
            throw BerthError.invalid(
                field: "plugin name", value: name, rule: "must be of letters, digits, -, _, . and +")
        }
        self.index = index
        self.name = name
    }

    /// - Parameter file: the name of a program that is started as a plugin.
    init(file: String) throws {
        let parts = file.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw BerthError.invalid(field: "plugin", value: file, rule: "must be named NN-NAME")
        }
        try self.init(index: String(parts[0]), name: String(parts[1]))
    }
}
