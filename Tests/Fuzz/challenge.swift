// sources: Core Images/Registry/Challenge.swift
// The header WWW-Authenticate.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let text = String(decoding: UnsafeBufferPointer(start: data, count: count), as: UTF8.self)
    let headers = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if case .bearer(let realm, _, _) = Challenge.parse(headers), realm.isEmpty { trap("a realm without a name") }
    return 0
}
