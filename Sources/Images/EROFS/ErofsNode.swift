private import Glibc
internal import LinuxKernel

/// An inode of an image that is to be written: about 110 bytes, its name and, of a link, its target.
struct ErofsNode {
    typealias Entry = (name: [UInt8], node: Int)

    /// Type and permission bits.
    var mode: UInt32
    var owner: UInt32 = 0
    var group: UInt32 = 0
    /// Of device nodes, in the kernel's encoding.
    var device: UInt32 = 0
    var modifiedSeconds: Int64 = 0
    var modifiedNanoseconds: Int64 = 0
    /// Bytes of attributes, already as they are written.
    var attributes: [UInt8] = []
    var linkTarget: [UInt8] = []
    /// Of directories: names and nodes, sorted by name.
    var entries: [Entry] = []
    var parent: Int
    var links: UInt32 = 0
    var size: Int64 = 0

    var layout = ErofsFormat.Layout.plain
    /// Where the inode stands in the image, in bytes.
    var offset: Int64 = 0
    var firstBlock: Int64 = 0

    init(mode: UInt32, parent: Int) {
        self.mode = mode
        self.parent = parent
    }

    init(_ status: EntryStatus, parent: Int) {
        mode = status.mode
        owner = status.owner
        group = status.group
        modifiedSeconds = status.modifiedSeconds
        modifiedNanoseconds = status.modifiedNanoseconds
        self.parent = parent
        if status.kind == .character || status.kind == .block {
            device = ErofsFormat.device(major: status.specialMajor, minor: status.specialMinor)
        }
        if status.kind == .regular { size = status.size }
    }

    var type: ErofsFormat.FileType {
        switch mode & UInt32(S_IFMT) {
        case UInt32(S_IFDIR): .directory
        case UInt32(S_IFLNK): .symlink
        case UInt32(S_IFCHR): .character
        case UInt32(S_IFBLK): .block
        case UInt32(S_IFIFO): .fifo
        case UInt32(S_IFSOCK): .socket
        default: .regular
        }
    }

    /// overlayfs.rst, "whiteouts and opaque directories".
    var isOverlayWhiteout: Bool { type == .character && device == 0 }

    var headSize: Int { ErofsFormat.inodeSize + attributes.count }

    var hasData: Bool {
        switch type {
        case .regular, .directory, .symlink: size > 0
        default: false
        }
    }
}
