/// Bytes from hexadecimal text; everything from `#` to the end of a line is a comment.
func hex(_ text: String) -> [UInt8] {
    let digits = text.split(separator: "\n").flatMap { line in
        line.prefix { $0 != "#" }.filter(\.isHexDigit).compactMap(\.hexDigitValue)
    }
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
