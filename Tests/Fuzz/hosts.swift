// sources: Core OCISpec Images/Registry/Hosts/HostsFile.swift Images/Registry/Hosts/HostCapabilities.swift Images/Registry/RegistryAddress.swift
// links: TOMLKit CTOML
// A hosts.toml.
internal import Core

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let text = String(decoding: UnsafeBufferPointer(start: data, count: count), as: UTF8.self)
    onlyOwnErrors {
        let file = try HostsFile(text)
        for host in file.hosts + [file.server] {
            for header in host.headers where !HostHeader.isName(header.name) || !HostHeader.isValue(header.value) {
                trap("header \(header)")
            }
        }
    }
    return 0
}
