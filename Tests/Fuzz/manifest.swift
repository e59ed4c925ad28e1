// sources: Core OCISpec
// A manifest, an index and an image config, as a registry may send them. What is understood means the same when it is written
// and read again.
internal import Core

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    for type in [MediaType.imageManifest, .imageIndex] {
        onlyOwnErrors {
            switch try ImageDocument.decode(bytes, mediaType: type, what: "fuzzed") {
            case .manifest(let manifest):
                let again = try StrictJSON.encode(manifest)
                guard case .manifest(manifest) = try ImageDocument.decode(again, mediaType: type, what: "again") else {
                    trap("\(manifest) changed")
                }
            case .index(let index):
                _ = index.manifest(for: .host)
                let again = try StrictJSON.encode(index)
                guard case .index(index) = try ImageDocument.decode(again, mediaType: type, what: "again") else {
                    trap("\(index) changed")
                }
            }
        }
    }
    onlyOwnErrors { _ = try ImageConfig.decode(bytes, what: "fuzzed") }
    onlyOwnErrors { _ = try ImageDocument.mediaType(of: bytes, what: "fuzzed") }
    return 0
}
