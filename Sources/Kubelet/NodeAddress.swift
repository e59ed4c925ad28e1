internal import NIOCore

/// The node's own address.
public enum NodeAddress {
    /// Interfaces of container networks, which are not the node's.
    private static let containerPrefixes = ["veth", "cni", "docker", "berth", "br-", "podman", "virbr"]

    /// The first IPv4 address that is not loopback and belongs to no container network.
    public static func first() -> String? {
        let devices = (try? System.enumerateDevices()) ?? []
        return devices.first { device in
            guard let address = device.address?.ipAddress, device.address?.protocol == .inet else { return false }
            return !address.hasPrefix("127.") && !containerPrefixes.contains(where: device.name.hasPrefix)
        }?.address?.ipAddress
    }
}
