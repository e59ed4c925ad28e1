// sources: Core CRIServer/Decode/Common.swift CRIServer/Decode/ContainerConfig.swift CRIServer/Decode/PodSandboxConfig.swift CRIServer/Decode/Filters.swift CRIServer/Decode/StopSignal.swift Engine/Model/ContainerConfig.swift Engine/Model/PodSandboxConfig.swift Engine/Model/SecurityOptions.swift Engine/Model/LinuxResources.swift Engine/Model/Filters.swift Engine/Model/PodSandbox.swift Engine/Model/Container.swift Networking/Model Networking/PodNetworkResult.swift Networking/PodNetworkRequest.swift
// links: SystemPackage CSystem SwiftProtobuf CRIAPI:v1_api.pb
// What a client of CRI may send to run a pod, make a container, list, and update: refused by one of our errors, which names the
// field, or taken.
internal import CRIAPI
internal import Core
internal import SwiftProtobuf

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    if let wire = try? Runtime_V1_PodSandboxConfig(serializedBytes: bytes) {
        onlyOwnErrors { _ = try PodSandboxConfig(wire) }
    }
    if let wire = try? Runtime_V1_ContainerConfig(serializedBytes: bytes) {
        onlyOwnErrors { _ = try ContainerConfig(wire) }
    }
    if let wire = try? Runtime_V1_LinuxContainerResources(serializedBytes: bytes) { _ = LinuxResources(wire) }
    if let wire = try? Runtime_V1_ContainerFilter(serializedBytes: bytes) {
        onlyOwnErrors { _ = try ContainerFilter(wire) }
    }
    if let wire = try? Runtime_V1_PodSandboxFilter(serializedBytes: bytes) {
        onlyOwnErrors { _ = try PodFilter(wire) }
    }
    return 0
}
