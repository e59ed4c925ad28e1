internal import FoundationEssentials

/// What generated messages hold for `bytes`.
typealias PlanBytes = Data

extension [UInt8] {
    var data: PlanBytes { PlanBytes(self) }
}
