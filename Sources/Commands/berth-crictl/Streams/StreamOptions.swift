internal import ArgumentParser
internal import Streaming

struct TransportOption: ParsableArguments {
    enum Name: String, ExpressibleByArgument, CaseIterable {
        case spdy
        case websocket
    }

    @Option(name: [.customShort("r"), .customLong("transport")], help: "Transport protocol to use")
    var name = Name.spdy

    var transport: StreamTransport { name == .spdy ? .spdy : .websocket }
}
