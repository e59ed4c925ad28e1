internal import Core
internal import Glibc
internal import SystemPackage

/// Binds a path inside a volume to a place of the agent's own, so that the runtime mounts exactly what was checked.
///
/// Containers can write to the volume, so it is walked one component at a time through descriptors, and no symbolic link
/// is followed: a link to `/` planted between check and mount leads nowhere.
enum SubPath {
    static func bind(_ subPath: String, of volume: FilePath, to target: FilePath, create: Bool) throws {
        let names = subPath.split(separator: "/").filter { $0 != "." }.map(String.init)
        guard !names.contains("..") else { throw BerthError(.invalidArgument, "must not hold '..'") }

        var current = open(volume.string, HostFiles.pathOnly | O_DIRECTORY | O_CLOEXEC)
        guard current >= 0 else { throw HostFiles.failure("open volume", volume) }
        defer { close(current) }
        for (index, name) in names.enumerated() {
            var next = openat(current, name, HostFiles.pathOnly | O_NOFOLLOW | O_CLOEXEC)
            if next < 0, errno == ENOENT, create {
                guard mkdirat(current, name, 0o750) == 0 || errno == EEXIST else {
                    throw HostFiles.failure("make directory", volume.appending(name))
                }
                // As the folder around it, so that a container that may write there may write here.
                var parent = stat()
                next = openat(current, name, HostFiles.pathOnly | O_NOFOLLOW | O_CLOEXEC)
                if next >= 0, fstat(current, &parent) == 0 {
                    _ = fchownat(current, name, parent.st_uid, parent.st_gid, AT_SYMLINK_NOFOLLOW)
                    _ = fchmodat(current, name, parent.st_mode & 0o7777, 0)
                }
            }
            guard next >= 0 else { throw HostFiles.failure("open", volume.appending(name)) }
            close(current)
            current = next
            var info = stat()
            guard fstat(current, &info) == 0 else { throw HostFiles.failure("look at", volume.appending(name)) }
            let kind = info.st_mode & S_IFMT
            guard kind != S_IFLNK else {
                throw BerthError(.failedPrecondition, "\"\(name)\" in volume \(volume) is a symbolic link")
            }
            guard kind == S_IFDIR || index == names.count - 1 else {
                throw HostFiles.failure("enter", volume.appending(name), ENOTDIR)
            }
        }
        try mountDescriptor(current, at: target)
    }

    private static func mountDescriptor(_ descriptor: Int32, at target: FilePath) throws {
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw HostFiles.failure("look at", target) }
        let parent = target.removingLastComponent()
        for point in HostFiles.mounts(below: parent) where point == target {
            guard umount2(point.string, HostFiles.detach) == 0 else {
                throw HostFiles.failure("unmount", point)
            }
        }
        if info.st_mode & S_IFMT == S_IFDIR {
            try HostFiles.makeDirectories(target)
        } else {
            try HostFiles.makeDirectories(parent)
            let file = open(target.string, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
            guard file >= 0 else { throw HostFiles.failure("make file", target) }
            close(file)
        }
        guard mount("/proc/self/fd/\(descriptor)", target.string, nil, UInt(MS_BIND), nil) == 0 else {
            throw HostFiles.failure("bind to", target)
        }
    }
}
