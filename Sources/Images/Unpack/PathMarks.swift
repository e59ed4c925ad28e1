/// A set of paths that may have millions: of each only a hash is kept, with a seed that nobody outside knows.
///
/// Two paths are taken for one with a probability of 2^-64 each, and what follows from that is a deletion that a layer asked for and
/// that is left out.
struct PathMarks {
    private var hashes: Set<Int> = []

    /// - Returns: whether it was not there.
    @discardableResult
    mutating func insert(_ path: LayerPath) -> Bool { hashes.insert(path.hashValue).inserted }

    func contains(_ path: LayerPath) -> Bool { hashes.contains(path.hashValue) }
}
