internal import Core

/// A range set: its ranges are tried in order, and one address comes from it.
struct AddressPool: Equatable {
    struct Range: Equatable {
        let subnet: IPAddressPrefix
        let start: IPAddress
        let end: IPAddress
        let gateway: IPAddress

        /// - Parameter path: of the range in its configuration, for errors.
        init(_ range: AddressRange, path: String) throws {
            let subnet = range.subnet.network
            guard range.subnet == subnet else {
                throw BerthError.invalid(
                    field: "\(path).subnet", value: range.subnet, rule: "has host bits set; the network is \(subnet)")
            }
            let spare = subnet.address.family.bits - subnet.length
            guard spare >= 2 else {
                throw BerthError.invalid(field: "\(path).subnet", value: subnet, rule: "is too small for any pod")
            }
            let family = subnet.address.family
            let lowest = IPAddress(family: family, value: subnet.first.value + 1)
            let highest = IPAddress(family: family, value: subnet.last.value - (family == .v4 ? 1 : 0))
            self.subnet = subnet
            gateway = range.gateway ?? lowest
            start = range.rangeStart ?? lowest
            end = range.rangeEnd ?? highest
            for (name, address) in [("gateway", gateway), ("rangeStart", start), ("rangeEnd", end)]
            where !(address.family == family && (lowest...highest).contains(address)) {
                throw BerthError.invalid(
                    field: "\(path).\(name)", value: address, rule: "is no host address of \(subnet)")
            }
            guard start <= end else {
                throw BerthError.invalid(field: "\(path).rangeStart", value: start, rule: "is after rangeEnd \(end)")
            }
        }

        /// Number of addresses from `start` to `end`, the gateway included.
        var count: UInt128 { end.value - start.value + 1 }

        func contains(_ address: IPAddress) -> Bool {
            address.family == start.family && address >= start && address <= end
        }
    }

    let ranges: [Range]

    var gateways: [IPAddress] { ranges.map(\.gateway) }

    /// Every address in turn, from the one after `last` round to `last`; gateways are left out.
    func candidates(after last: IPAddress?) -> some Sequence<(address: IPAddress, range: Range)> {
        let first = last.flatMap { last in ranges.firstIndex { $0.contains(last) } }
        var index = first ?? 0
        var next = first.flatMap { _ in last.map { $0.value &+ 1 } } ?? ranges.first?.start.value ?? 0
        var left = ranges.reduce(0 as UInt128) { $0.addingReportingOverflow($1.count).partialValue }
        return AnyIterator { () -> (address: IPAddress, range: Range)? in
            while left > 0, !ranges.isEmpty {
                // Below the start: one past the highest address there is.
                if next > ranges[index].end.value || next < ranges[index].start.value {
                    index = (index + 1) % ranges.count
                    next = ranges[index].start.value
                }
                let range = ranges[index]
                let address = IPAddress(family: range.start.family, value: next)
                next &+= 1
                left -= 1
                if address != range.gateway { return (address, range) }
            }
            return nil
        }
    }
}
