internal import Core
internal import LinuxKernel
@testable internal import Networking
internal import SystemPackage

/// A namespace that only remembers what was asked of it, and answers as told.
final class RecordingScope: NetworkScope, NetlinkChannel {
    var requests: [NetlinkRequest] = []
    var filters: [String] = []
    var written: [String] = []
    var settings: [String: String] = [:]
    var filterProblem: String?
    /// Links by name, for look-ups and dumps.
    var links: [NetlinkMessage] = []
    var addressDump: [NetlinkMessage] = []
    var routeDump: [NetlinkMessage] = []
    /// Makes the first request with this purpose fail.
    var failing: (purpose: String, error: NetlinkError)?

    var purposes: [String] { requests.map(\.purpose) }
    var routing: any NetlinkChannel { self }

    func exchange(_ requests: [NetlinkRequest]) throws -> [Result<[NetlinkMessage], NetlinkError>] {
        self.requests += requests
        return requests.map { request in
            if let failing, failing.purpose == request.purpose { return .failure(failing.error) }
            switch request.type {
            case Link.getType where request.flags.contains(.dump): return .success(links)
            case Link.getType:
                let name = NetlinkAttribute.decode(request.payload[16...])[type: Link.Attribute.name]?.text
                let found = links.filter { Link($0)?.name == name }
                return found.isEmpty ? .failure(.refused(.noSuchDevice, explanation: nil)) : .success(found)
            case Link.newType where request.purpose.hasPrefix("create bridge"):
                links.append(Self.link(index: 9, attributes: request.payload[16...]))
                return .success([])
            case InterfaceAddress.getType: return .success(addressDump)
            case Route.getType: return .success(routeDump)
            default: return .success([])
            }
        }
    }

    func deleteLink(_ name: String) throws {
        try perform(.deleteLink(name), accepting: [Errno.noSuchDevice.rawValue])
    }

    func filter(_ commands: String, json: Bool) throws -> String {
        filters.append(commands)
        if let filterProblem { throw NFTablesError(message: filterProblem) }
        return #"{"nftables": []}"#
    }

    func sysctl(_ key: String) throws -> String { settings[key] ?? "0" }

    func setSysctl(_ key: String, _ value: String) throws {
        settings[key] = value
        written.append("\(key)=\(value)")
    }

    func ipv6Interfaces() -> [String] { ["eth0"] }

    static func link(
        index: Int32, name: String? = nil, alias: String? = nil, kind: String? = nil, flags: UInt32 = 0,
        mtu: UInt32? = nil,
        attributes: ArraySlice<UInt8> = []
    ) -> NetlinkMessage {
        var header = NetlinkBytes()
        header.append(0 as UInt32)
        header.append(index)
        header.append(flags)
        header.append(0 as UInt32)
        var list: [NetlinkAttribute] = []
        if let name { list.append(.init(Link.Attribute.name, name)) }
        if let alias { list.append(.init(Link.Attribute.alias, alias)) }
        if let mtu { list.append(.init(Link.Attribute.mtu, mtu)) }
        if let kind { list.append(.init(Link.Attribute.info, nested: [.init(Link.Attribute.infoKind, kind)])) }
        return NetlinkMessage(
            type: Link.newType, flags: [], sequence: 0,
            payload: header.bytes + attributes + NetlinkAttribute.encode(list))
    }

    static func route(_ destination: IPAddressPrefix, gateway: IPAddress? = nil, link: Int32) -> NetlinkMessage {
        let request = NetlinkRequest.addRoute(destination, gateway: gateway, link: link, name: "")
        return NetlinkMessage(type: Route.newType, flags: [], sequence: 0, payload: request.payload)
    }
}
