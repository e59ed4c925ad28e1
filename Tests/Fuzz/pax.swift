// sources: Core Images/Tar Images/Unpack/LayerPath.swift
// The content of a PAX extended header.
internal import Core

/// The reader's other source, whose file needs more of the kernel than a fuzz target has.
protocol ByteSource: AnyObject {
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    onlyOwnErrors {
        var records = PAXRecords()
        try records.parse(Array(UnsafeBufferPointer(start: data, count: count)), limits: TarLimits())
        var entry = TarEntry()
        var size: Int64 = 0
        try records.apply(to: &entry, size: &size)
        guard size >= 0 else { trap("a size of \(size)") }
        guard (0..<1_000_000_000).contains(entry.modifiedNanoseconds) else {
            trap("\(entry.modifiedNanoseconds) nanoseconds")
        }
        _ = try LayerPath(entry: entry.path)
    }
    return 0
}
