// What every fuzz target is compiled with.
internal import Core
internal import Glibc

/// Ends the process, which the fuzzer takes as a finding.
func trap(_ problem: String) -> Never {
    print("finding: \(problem)")
    fflush(nil)
    abort()
}

/// Refusals are what hostile input is to get, and nothing else.
func onlyOwnErrors(_ body: () throws -> Void) {
    do {
        try body()
    } catch is BerthError {
    } catch {
        trap("an error of another kind: \(error)")
    }
}
