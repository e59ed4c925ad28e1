// sources: Core OCISpec Networking/CNI/CNIResult.swift Networking/CNI/CNIError.swift Networking/CNI/CNIVersion.swift Networking/CNI/CNIConfiguration.swift Networking/CNI/CNIRules.swift Networking/Model Networking/Builtin/ConfigurationNode.swift Networking/PodNetworkResult.swift Networking/PodNetworkRequest.swift
// links: SystemPackage CSystem
// What a network plugin writes, as a result of each version and as an error, and a configuration of the node.
internal import Core

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    onlyOwnErrors {
        let value = try StrictJSON.parse(bytes, what: "result", limit: 1 << 20)
        for version in CNIVersion.known {
            onlyOwnErrors {
                let result = try CNIResult.decode(value, version: version, interface: "eth0")
                let again = try StrictJSON.encode(result)
                guard try StrictJSON.decode(PodNetworkResult.self, from: again, what: "again") == result else {
                    trap("\(result) changed")
                }
                for address in result.addresses where try IPAddressPrefix("\(address)") != address {
                    trap("address \(address)")
                }
            }
        }
    }
    if let error = CNIError(output: bytes) { _ = "\(error) \(error.berthCode)" }
    for single in [false, true] {
        onlyOwnErrors { _ = try CNIConfiguration(bytes, path: "fuzzed.conflist", single: single) }
    }
    return 0
}
