internal import Core
internal import SystemPackage

extension NetlinkChannel {
    /// - Returns: `nil` where no interface has that name.
    func link(named name: String) throws -> Link? {
        let request = NetlinkRequest.link(named: name)
        switch try exchange([request]).first {
        case .success(let messages)?: return messages.lazy.compactMap(Link.init).first
        case .failure(let error)? where error.errno == .noSuchDevice: return nil
        case .failure(let error)?: throw BerthError(.internal, "\(request.purpose): \(error)")
        case nil: return nil
        }
    }

    func links() throws -> [Link] {
        try perform(.links()).flatMap { $0.compactMap(Link.init) }
    }

    func addresses(of index: Int32) throws -> [IPAddressPrefix] {
        try perform(.addresses()).flatMap { $0.compactMap(InterfaceAddress.init) }
            .filter { $0.link == index }.map(\.prefix)
    }

    func routes() throws -> [Route] {
        try perform(.routes()).flatMap { $0.compactMap(Route.init) }
    }
}
