/// Which texts came before. A few, as configurations have, are compared one by one: the first set of strings of a process
/// takes it 0.1 ms, which a start of berth-oci would notice.
public struct SeenTexts {
    private static let few = 64

    private var list: [String] = []
    private var set: Set<String>?

    public init() {}

    /// - Returns: whether it is new.
    public mutating func insert(_ text: String) -> Bool {
        if set != nil { return set?.insert(text).inserted == true }
        if list.contains(text) { return false }
        list.append(text)
        if list.count > Self.few { set = Set(list) }
        return true
    }
}
