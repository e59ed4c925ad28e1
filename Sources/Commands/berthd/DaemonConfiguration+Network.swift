internal import Core
internal import LinuxKernel
internal import Networking
internal import SystemPackage

extension DaemonConfiguration.NetworkSettings {
    func builtin() throws -> BuiltinNetworkConfiguration {
        guard conflist.isEmpty else { return try followed() }
        guard bridge.isEmpty == subnets.isEmpty else {
            throw BerthError(
                .invalidArgument, "network.bridge and network.subnets belong together",
                advice: "give both, or neither for an automatic choice")
        }
        guard mtu == 0 || (576...65_535).contains(mtu) else {
            throw BerthError.invalid(field: "network.mtu", value: mtu, rule: "must be 0 or from 576 to 65535")
        }
        let placement: BuiltinNetworkConfiguration.Placement
        if bridge.isEmpty {
            placement = .automatic
        } else {
            guard bridge.utf8.count <= 15, !bridge.contains("/"), !bridge.contains(where: \.isWhitespace) else {
                throw BerthError.invalid(
                    field: "network.bridge", value: bridge, rule: "must be an interface name of at most 15 bytes")
            }
            placement = .fixed(
                bridge: bridge,
                ranges: try subnets.map { subnet in
                    do { return [AddressRange(subnet: try IPAddressPrefix(subnet))] } catch {
                        throw BerthError.wrapping(error, "network.subnets")
                    }
                })
        }
        return BuiltinNetworkConfiguration(placement: placement, mtu: mtu == 0 ? nil : mtu, masquerade: masquerade)
    }

    private func followed() throws -> BuiltinNetworkConfiguration {
        guard bridge.isEmpty, subnets.isEmpty, mtu == 0 else {
            throw BerthError(
                .invalidArgument, "network.conflist, \"\(conflist)\", says bridge, subnets and mtu already",
                advice: "leave network.bridge, network.subnets and network.mtu out")
        }
        let bytes: [UInt8]
        do { bytes = try Files.read(FilePath(conflist), limit: 1 << 20) } catch {
            throw BerthError(.invalidArgument, "could not read network.conflist, \"\(conflist)\"", cause: error)
        }
        return try BuiltinNetworkConfiguration(conflist: bytes, source: conflist)
    }
}
