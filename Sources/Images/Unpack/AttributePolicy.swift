private import Core

/// Which extended attributes of a layer's entries are set.
enum AttributePolicy {
    enum Decision {
        case set
        /// Means nothing on this host or is computed by it (SELinux labels, IMA, EVM).
        case ignore
    }

    /// - Throws: `BerthError` (`invalidArgument`) for what would steer overlayfs itself.
    static func decide(_ name: [UInt8], path: [UInt8]) throws -> Decision {
        if name.starts(with: Self.trustedOverlay) || name.starts(with: Self.userOverlay) {
            throw BerthError(
                .invalidArgument,
                "\(TarReader.shown(path)): attribute \(TarReader.shown(name)) is refused: layers must not steer overlayfs"
            )
        }
        if name.elementsEqual(Self.capability) || name.starts(with: Self.user) || name.starts(with: Self.acl) {
            return .set
        }
        return .ignore
    }

    private static let trustedOverlay = Array("trusted.overlay.".utf8)
    private static let userOverlay = Array("user.overlay.".utf8)
    private static let capability = Array("security.capability".utf8)
    private static let user = Array("user.".utf8)
    private static let acl = Array("system.posix_acl_".utf8)
}
