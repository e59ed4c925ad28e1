// sources: NRI/Wire NRI/Adjustments NRI/Messages/Parts.swift NRI/Messages/Resources.swift Engine/Model/LinuxResources.swift
// links: Core OCISpec NRIAPI SwiftProtobuf SystemPackage CSystem Logging
// What a plugin sends: its socket's bytes, in pieces of varying size, are the same events in one piece and in many, or
// refused; and what it wants of a container is refused by one of our errors, or leaves a configuration that can be written.
internal import Core
internal import NRIAPI
internal import OCISpec
internal import SwiftProtobuf

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: data + 1, count: count - 1))
    if data[0] & 1 == 0 {
        converse(bytes, size: Int(data[0] >> 1) % 61 + 1)
    } else {
        adjust(bytes)
    }
    return 0
}

private func converse(_ bytes: [UInt8], size: Int) {
    let whole = events(bytes, size: bytes.count)
    let pieces = events(bytes, size: size)
    guard whole.isRefused == pieces.isRefused else { trap("refused in one piece: \(whole.isRefused), else not") }
    guard whole.isRefused || whole.texts == pieces.texts else { trap("\(whole.texts) became \(pieces.texts)") }
}

private func events(_ bytes: [UInt8], size: Int) -> (texts: [String], isRefused: Bool) {
    var session = PluginSession()
    // Calls that a plugin may answer.
    for _ in 0..<3 { _ = try? session.call("s", "m", [], timeout: .zero) }
    var texts: [String] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        let piece = Array(rest.prefix(size))
        rest = rest.dropFirst(size)
        do {
            for event in try session.receive(piece) {
                texts.append("\(event)")
                if case .request(let stream, let request) = event {
                    _ = try? NRIRegisterPluginRequest(serializedBytes: Array(request.payload))
                    if PluginSession.answer(stream, .success([])).count != 18 { trap("an answer of another length") }
                }
            }
        } catch {
            return (texts, true)
        }
    }
    return (texts, false)
}

private func adjust(_ bytes: [UInt8]) {
    guard let wanted = try? NRIContainerAdjustment(serializedBytes: bytes) else { return }
    var spec = RuntimeSpec()
    spec.process = RuntimeSpec.Process()
    spec.process?.args = ["/bin/true"]
    spec.process?.env = ["A=b"]
    spec.annotations = ["a": "b"]
    spec.linux = RuntimeSpec.Linux()
    onlyOwnErrors {
        var container = AdjustedContainer(id: "c", spec: spec)
        try container.apply(wanted, by: "10-one")
        _ = try StrictJSON.encode(container.spec)
        // Another plugin that wants the same: refused, or the same again.
        try container.apply(wanted, by: "20-two")
        _ = try StrictJSON.encode(container.spec)
    }
    onlyOwnErrors {
        var limits = AdjustedLimits()
        var claims = FieldClaims(containerID: "c")
        try limits.apply(wanted.linux.resources, by: "10-one", &claims)
        _ = NRILinuxResources(limits.limits)
    }
}
