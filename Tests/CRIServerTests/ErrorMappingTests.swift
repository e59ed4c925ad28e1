import Core
import GRPCCore
import NIOCore
import Testing

@testable import CRIServer

@Suite("Errors as gRPC statuses") struct ErrorMappingTests {
    @Test(arguments: BerthError.Code.allCases)
    func everyCodeHasItsStatus(code: BerthError.Code) {
        let status = ErrorMapping.status(of: BerthError(code, "container \"x\" is gone", advice: "look again"))
        #expect(status.code.description == "\(code)" || (code == .internal && status.code == .internalError))
        #expect(status.message == "container \"x\" is gone (look again)")
    }

    @Test func cancellationAndStrangersAreTold() {
        struct Odd: Error {}
        #expect(ErrorMapping.status(of: CancellationError()).code == .cancelled)
        #expect(ErrorMapping.status(of: ChannelError.ioOnClosedChannel).code == .cancelled)
        #expect(ErrorMapping.status(of: Odd()).code == .internalError)
        #expect(ErrorMapping.status(of: RPCError(code: .dataLoss, message: "m")).code == .dataLoss)
    }

    @Test func onlyDefectsAreLoggedAsErrors() {
        for code in BerthError.Code.allCases {
            let level = RequestLog.level(of: ErrorMapping.code(of: code))
            switch code {
            case .internal, .dataLoss: #expect(level == .error)
            case .invalidArgument, .notFound, .alreadyExists, .unimplemented, .cancelled, .deadlineExceeded:
                #expect(level == .info, "\(code) is the caller's")
            default: #expect(level == .warning, "\(code) is the operator's to know")
            }
        }
    }

    @Test(arguments: [
        ("RunPodSandbox", true), ("StopContainer", true), ("PullImage", true), ("ListContainers", false),
        ("Status", false),
    ])
    func callsThatOnlyLookAreLoggedQuietly(method: String, changes: Bool) {
        #expect(RequestLog.changes(method) == changes)
    }
}
