private import Foundation

/// Whether the tests run in a guest of hack/uml or hack/vm: the kernel, its modules, disks and pages are theirs alone.
let guest = ProcessInfo.processInfo.environment["BERTH_UML"] != nil
