/// One entry of a tar archive, with what PAX and GNU extension headers said about it.
///
/// Names are bytes: nothing requires them to be UTF-8.
public struct TarEntry: Sendable {
    public enum Kind: Sendable, Equatable {
        case regular, hardLink, symlink, characterDevice, blockDevice, directory, fifo
    }

    public struct Attribute: Sendable, Equatable {
        public var name: [UInt8]
        public var value: [UInt8]

        public init(name: [UInt8], value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    /// A run of a file's content.
    public struct Extent: Sendable, Equatable {
        public var offset: Int64
        public var count: Int64

        public init(offset: Int64, count: Int64) {
            self.offset = offset
            self.count = count
        }
    }

    public var kind: Kind
    /// As in the archive; a directory may end with a slash.
    public var path: [UInt8]
    public var linkTarget: [UInt8]
    /// Permission, set-ID and sticky bits.
    public var mode: UInt32
    public var owner: UInt32
    public var group: UInt32
    /// Bytes of the file; 0 for all but regular files.
    public var size: Int64
    /// Of a sparse file: where the content that follows belongs, in order; the rest of its bytes are zeros. `nil`: all of it
    /// follows.
    public var extents: [Extent]?
    public var modifiedSeconds: Int64
    /// 0 to 999 999 999.
    public var modifiedNanoseconds: Int64
    public var deviceMajor: UInt32
    public var deviceMinor: UInt32
    public var attributes: [Attribute]

    public init(
        kind: Kind = .regular, path: [UInt8] = [], linkTarget: [UInt8] = [], mode: UInt32 = 0o644, owner: UInt32 = 0,
        group: UInt32 = 0, size: Int64 = 0, modifiedSeconds: Int64 = 0, modifiedNanoseconds: Int64 = 0,
        deviceMajor: UInt32 = 0, deviceMinor: UInt32 = 0, attributes: [Attribute] = []
    ) {
        self.kind = kind
        self.path = path
        self.linkTarget = linkTarget
        self.mode = mode
        self.owner = owner
        self.group = group
        self.size = size
        self.modifiedSeconds = modifiedSeconds
        self.modifiedNanoseconds = modifiedNanoseconds
        self.deviceMajor = deviceMajor
        self.deviceMinor = deviceMinor
        self.attributes = attributes
    }
}

/// Bounds on what an archive may ask for; beyond them it is refused.
public struct TarLimits: Sendable {
    /// Entries of one archive.
    public var entries = 4_000_000
    /// Bytes of one PAX or GNU extension header.
    public var extensionHeader = 1 << 20
    /// Extended attributes of one entry, and the bytes of their names and values. The kernel keeps less.
    public var attributes = 512
    public var attributeBytes = 512 << 10
    /// Bytes of one path or link target: the kernel's PATH_MAX.
    public var path = 4096
    /// Sum of the content of all files of one archive, in bytes, and the size of one sparse file.
    public var content: Int64 = 1 << 40

    public init() {}
}
