/// Appends integers in the machine's byte order, as netlink wants them.
struct NetlinkBytes {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ more: some Collection<UInt8>) {
        bytes.append(contentsOf: more)
    }

    /// Zeros up to the next multiple of 4 (`NLMSG_ALIGN`, `RTA_ALIGN`).
    mutating func align() {
        bytes.append(contentsOf: repeatElement(0, count: (4 - bytes.count % 4) % 4))
    }
}

extension Collection<UInt8> {
    /// The integer at `offset` in the machine's byte order; `nil` beyond the end.
    func integer<Value: FixedWidthInteger>(_ type: Value.Type = Value.self, at offset: Int) -> Value? {
        let size = MemoryLayout<Value>.size
        guard offset >= 0, count - offset >= size else { return nil }
        var value: Value = 0
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: dropFirst(offset).prefix(size)) }
        return value
    }

    /// Text up to the first zero byte.
    var netlinkText: String { String(decoding: prefix { $0 != 0 }, as: UTF8.self) }
}
