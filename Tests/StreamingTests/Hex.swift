/// Bytes of an annotated dump: pairs of hexadecimal digits, and words after two spaces that are not, to the line's end.
func hex(_ text: String) -> [UInt8] {
    text.split(separator: "\n").flatMap { line -> [UInt8] in
        var bytes: [UInt8] = []
        for word in line.split(separator: " ") {
            guard word.count == 2, let byte = UInt8(word, radix: 16) else { break }
            bytes.append(byte)
        }
        return bytes
    }
}

/// The same noise in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        var mixed = state
        mixed ^= mixed >> 33
        mixed = mixed &* 0xFF51_AFD7_ED55_8CCD
        return mixed ^ mixed >> 33
    }
}
