internal import Core
internal import SystemPackage

enum NetlinkError: Error, Equatable {
    /// The kernel refused; `explanation` is its extended acknowledgement, in words.
    case refused(Errno, explanation: String?)
    case malformed(String)

    var errno: Errno? {
        if case .refused(let errno, _) = self { errno } else { nil }
    }
}

extension NetlinkError: CustomStringConvertible {
    var description: String {
        switch self {
        case .refused(let errno, let explanation?): "\(errno) (\(explanation))"
        case .refused(let errno, nil): "\(errno)"
        case .malformed(let what): "the kernel's netlink answer has \(what)"
        }
    }
}

extension Errno {
    /// `ENODEV`, which swift-system has no name for.
    static var noSuchDevice: Errno { Errno(rawValue: 19) }
}
