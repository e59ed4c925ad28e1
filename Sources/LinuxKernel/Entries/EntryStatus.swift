internal import Glibc

/// What lstat(2) says of a directory entry.
public struct EntryStatus: Sendable {
    /// Type and permission bits.
    public let mode: UInt32
    public let owner: UInt32
    public let group: UInt32
    public let size: Int64
    /// Allocated bytes.
    public let allocated: Int64
    public let links: UInt64
    public let device: UInt64
    public let inode: UInt64
    public let modifiedSeconds: Int64
    public let modifiedNanoseconds: Int64
    /// Numbers of the device that a character or block special file stands for.
    public let specialMajor: UInt32
    public let specialMinor: UInt32

    init(_ status: stat) {
        mode = status.st_mode
        owner = status.st_uid
        group = status.st_gid
        size = Int64(status.st_size)
        allocated = Int64(status.st_blocks) * 512
        links = UInt64(status.st_nlink)
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        modifiedSeconds = Int64(status.st_mtim.tv_sec)
        modifiedNanoseconds = Int64(status.st_mtim.tv_nsec)
        // glibc's encoding of dev_t: 12 + 20 bits of major and 8 + 24 bits of minor, interleaved.
        let special = UInt64(status.st_rdev)
        specialMajor = UInt32(truncatingIfNeeded: (special >> 8) & 0xfff | (special >> 32) & 0xffff_f000)
        specialMinor = UInt32(truncatingIfNeeded: special & 0xff | (special >> 12) & 0xffff_ff00)
    }

    public enum Kind: Sendable {
        case regular, directory, symlink, character, block, fifo, socket, unknown
    }

    public var kind: Kind {
        switch mode & UInt32(S_IFMT) {
        case UInt32(S_IFREG): .regular
        case UInt32(S_IFDIR): .directory
        case UInt32(S_IFLNK): .symlink
        case UInt32(S_IFCHR): .character
        case UInt32(S_IFBLK): .block
        case UInt32(S_IFIFO): .fifo
        case UInt32(S_IFSOCK): .socket
        default: .unknown
        }
    }

    /// Permission, set-ID and sticky bits.
    public var permissions: UInt32 { mode & 0o7777 }

    /// Whether overlayfs takes it as "nothing here, and nothing from below" (overlayfs.rst, "whiteouts and opaque directories").
    public var isOverlayWhiteout: Bool { kind == .character && specialMajor == 0 && specialMinor == 0 }
}

/// A `dev_t` in glibc's encoding.
func deviceNumber(major: UInt32, minor: UInt32) -> UInt64 {
    let major = UInt64(major)
    let minor = UInt64(minor)
    return (major & 0xfff) << 8 | (major & 0xffff_f000) << 32 | (minor & 0xff) | (minor & 0xffff_ff00) << 12
}
