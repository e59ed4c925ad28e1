public import SystemPackage

extension FilePath {
    /// `removingLastComponent()`, by the text: the library's goes through generic collections, whose conformances are
    /// searched for at run time, and that is most of what berth-oci would spend on its paths.
    public var parent: FilePath {
        let text = string
        guard let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
        return FilePath(slash == text.startIndex ? (text.utf8.count > 1 ? "/" : text) : String(text[..<slash]))
    }
}
