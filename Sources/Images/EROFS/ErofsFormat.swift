/// The on-disk format of EROFS as far as we write it: uncompressed, extended inodes (Linux 5.4 and newer;
/// Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h). All numbers are little-endian.
enum ErofsFormat {
    /// What every kernel takes.
    static let blockSize = 4096
    /// The unit of tar archives, in which their files begin. Linux 6.4 and newer.
    static let smallBlockSize = 512
    static let superblockOffset = 1024
    static let superblockSize = 128
    static let inodeSize = 64
    /// An inode's number is its offset in units of this.
    static let slotSize = 32
    static let directoryEntrySize = 12

    /// Values of `i_format`'s bits 1 to 3.
    enum Layout: UInt16 {
        /// All in whole blocks.
        case plain = 0
        /// Whole blocks, and what is left over right behind the inode.
        case inline = 2
    }

    /// `i_format`: bit 0 is set for an extended inode.
    static func format(_ layout: Layout) -> UInt16 { 1 | layout.rawValue << 1 }

    /// `feature_compat`: inode times are modification times.
    private static let modificationTimes: UInt32 = 2

    static func superblock(of plan: ErofsPlan) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(little: UInt32(0xE0F5_E1E2))  // magic
        bytes.append(little: UInt32(0))  // checksum, of which no feature bit speaks
        bytes.append(little: modificationTimes)
        bytes += [UInt8(plan.blockSize.trailingZeroBitCount), 0]  // block size as a power of two, extension slots
        // The root comes first: its number always fits.
        bytes.append(little: UInt16(truncatingIfNeeded: plan.number(of: 0)))
        bytes.append(little: UInt64(plan.nodes.count))
        bytes.append(little: UInt64(0))  // build time: images of the same tree are the same
        bytes.append(little: UInt32(0))
        bytes.append(little: UInt32(truncatingIfNeeded: plan.blocks))
        bytes.append(little: UInt32(truncatingIfNeeded: plan.metadata / Int64(plan.blockSize)))
        bytes.append(little: UInt32(0))  // no shared attributes
        // No UUID, no name, no incompatible features.
        bytes += [UInt8](repeating: 0, count: superblockSize - bytes.count)
        return bytes
    }

    struct Inode {
        var layout: Layout
        /// Bytes of attributes behind the inode: 0, or the header of 12 and entries in multiples of 4.
        var attributeSize: Int
        var mode: UInt32
        var size: Int64
        /// The first data block, or a device's number.
        var position: UInt32
        var number: UInt32
        var owner: UInt32
        var group: UInt32
        var seconds: Int64
        var nanoseconds: Int64
        var links: UInt32

        var bytes: [UInt8] {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(ErofsFormat.inodeSize)
            bytes.append(little: ErofsFormat.format(layout))
            bytes.append(little: UInt16(attributeSize == 0 ? 0 : (attributeSize - 12) / 4 + 1))
            bytes.append(little: UInt16(truncatingIfNeeded: mode))
            bytes.append(little: UInt16(0))
            bytes.append(little: UInt64(bitPattern: size))
            bytes.append(little: position)
            bytes.append(little: number)
            bytes.append(little: owner)
            bytes.append(little: group)
            bytes.append(little: UInt64(bitPattern: seconds))
            bytes.append(little: UInt32(truncatingIfNeeded: nanoseconds))
            bytes.append(little: links)
            bytes += [UInt8](repeating: 0, count: 16)
            return bytes
        }
    }

    /// The kernel's encoding of a device number (new_encode_dev).
    static func device(major: UInt32, minor: UInt32) -> UInt32 {
        minor & 0xff | (major & 0xfff) << 8 | (minor & ~0xff) << 12
    }

    // MARK: Attributes

    private static let attributePrefixes: [(index: UInt8, prefix: [UInt8])] = [
        (2, Array("system.posix_acl_access".utf8)), (3, Array("system.posix_acl_default".utf8)),
        (1, Array("user.".utf8)), (4, Array("trusted.".utf8)), (6, Array("security.".utf8)),
    ]

    /// The attributes of an inode as they stand behind it; empty without any. Those of other kinds are left out.
    ///
    /// - Returns: `nil` for more than an inode can have.
    static func attributes(_ attributes: [(name: [UInt8], value: [UInt8])]) -> [UInt8]? {
        var bytes: [UInt8] = []
        for (name, value) in attributes {
            guard add(name, value, to: &bytes) else { return nil }
        }
        return bytes
    }

    /// Adds one to what `attributes` made.
    ///
    /// - Returns: `false` for more than an inode can have.
    static func add(_ name: [UInt8], _ value: [UInt8], to attributes: inout [UInt8]) -> Bool {
        guard let kind = attributePrefixes.first(where: { name.starts(with: $0.prefix) }) else { return true }
        let rest = name.dropFirst(kind.prefix.count)
        guard rest.count <= 255, value.count <= 65535 else { return false }
        if attributes.isEmpty { attributes = [UInt8](repeating: 0, count: attributeHeaderSize) }
        attributes += [UInt8(rest.count), kind.index]
        attributes.append(little: UInt16(value.count))
        attributes += rest
        attributes += value
        attributes += [UInt8](repeating: 0, count: (4 - attributes.count % 4) % 4)
        // i_xattr_icount has 16 bits.
        return (attributes.count - attributeHeaderSize) / 4 < 65535
    }

    private static let attributeHeaderSize = 12

    // MARK: Directories

    enum FileType: UInt8 {
        case regular = 1
        case directory = 2
        case character = 3
        case block = 4
        case fifo = 5
        case socket = 6
        case symlink = 7
    }

    struct DirectoryEntry {
        var name: [UInt8]
        var number: UInt64
        var type: FileType
    }

    /// Sorted as the kernel wants them (unsigned bytes), with the two that every directory has.
    static func withDots(_ names: [[UInt8]]) -> [[UInt8]] {
        let dots: [[UInt8]] = [[0x2e], [0x2e, 0x2e]]
        let position = names.firstIndex { !$0.lexicographicallyPrecedes(dots[0]) } ?? names.count
        var result = Array(names[..<position]) + [dots[0]]
        // Only a name of "." and a byte below "." can be between the two.
        let rest = names[position...]
        let second = rest.firstIndex { !$0.lexicographicallyPrecedes(dots[1]) } ?? rest.endIndex
        result += rest[..<second]
        result.append(dots[1])
        result += rest[second...]
        return result
    }

    /// A directory's content: blocks of entries in the order of their names, each followed by its names.
    ///
    /// - Parameter entries: sorted by name, with `.` and `..` where they belong.
    static func directory(_ entries: [DirectoryEntry], blockSize: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var start = 0
        while start < entries.count {
            var end = start
            var used = 0
            while end < entries.count {
                let size = directoryEntrySize + entries[end].name.count
                if used + size > blockSize { break }
                used += size
                end += 1
            }
            var offset = (end - start) * directoryEntrySize
            for entry in entries[start..<end] {
                bytes.append(little: entry.number)
                bytes.append(little: UInt16(offset))
                bytes += [entry.type.rawValue, 0]
                offset += entry.name.count
            }
            for entry in entries[start..<end] { bytes += entry.name }
            if end < entries.count { bytes += [UInt8](repeating: 0, count: blockSize - used) }
            start = end
        }
        return bytes
    }

    /// The size of what `directory` makes, without making it.
    static func directorySize(_ nameLengths: some Sequence<Int>, blockSize: Int) -> Int {
        var blocks = 0
        var used = 0
        for length in nameLengths {
            let size = directoryEntrySize + length
            if used + size > blockSize {
                blocks += 1
                used = 0
            }
            used += size
        }
        return blocks * blockSize + used
    }
}

extension [UInt8] {
    fileprivate mutating func append(little number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }
}
