private import Synchronization

/// The progress of a pull or import: a line for each piece of content.
///
/// On a terminal the lines are redrawn in place; elsewhere each change of a piece's state is a plain line. For programs each
/// change is a line of JSON: `{"name": ..., "state": ..., "done": bytes, "total": bytes, "finished": bool, "elapsed": seconds}`.
public final class ProgressBoard: Sendable {
    public struct Item: Equatable, Sendable {
        public var name: String
        /// "waiting", "downloading", "done" ...
        public var state: String
        public var done: UInt64
        /// `nil` where the size is not known.
        public var total: UInt64?
        public var isFinished: Bool

        public init(name: String, state: String, done: UInt64 = 0, total: UInt64? = nil, isFinished: Bool = false) {
            self.name = name
            self.state = state
            self.done = done
            self.total = total
            self.isFinished = isFinished
        }
    }

    public enum Style: Sendable {
        /// Redrawn on a terminal, else lines.
        case automatic
        case lines
        case json
    }

    private struct State {
        var items: [Item] = []
        /// When a piece was told last, by its name.
        var told: [String: ContinuousClock.Instant] = [:]
        var drawnLines = 0
    }

    private let state = Mutex(State())
    private let output: TerminalOutput
    private let isLive: Bool
    private let isQuiet: Bool
    private let isJSON: Bool
    private let start = ContinuousClock.now

    public init(output: TerminalOutput = .standardOutput, quiet: Bool = false, style: Style = .automatic) {
        self.output = output
        isLive = output.isRich && !quiet && style == .automatic
        isQuiet = quiet
        isJSON = style == .json && !quiet
    }

    /// Replaces the item of that name, or adds it.
    public func update(_ item: Item) {
        if isJSON { tell(item) }
        let isNews = state.withLock { state in
            guard let index = state.items.firstIndex(where: { $0.name == item.name }) else {
                state.items.append(item)
                return true
            }
            let before = state.items[index]
            state.items[index] = item
            return before.state != item.state
        }
        guard isNews, !isLive, !isQuiet, !isJSON, item.state != "waiting" else { return }
        let size = item.total ?? (item.done > 0 ? item.done : nil)
        output.writeLine("\(item.name): \(item.state)" + (size.map { " (\(HumanText.binarySize($0)))" } ?? ""))
    }

    /// A new state at once, and how far it is five times a second at most.
    private func tell(_ item: Item) {
        let now = ContinuousClock.now
        let isDue = state.withLock { state in
            let before = state.items.first { $0.name == item.name }
            if before == item { return false }
            if let before, before.state == item.state, before.isFinished == item.isFinished,
                let told = state.told[item.name], now - told < .milliseconds(200)
            {
                return false
            }
            state.told[item.name] = now
            return true
        }
        guard isDue else { return }
        var fields: [JSONValue.Member] = [
            .init("name", .string(item.name)), .init("state", .string(item.state)), .init("done", .number(item.done)),
        ]
        if let total = item.total { fields.append(.init("total", .number(total))) }
        let elapsed = start.duration(to: now) / .milliseconds(1)
        fields += [
            .init("finished", .bool(item.isFinished)), .init("elapsed", .number("\(elapsed.rounded() / 1000)")),
        ]
        output.writeLine(JSONValue.object(fields).renderedCompactly())
    }

    /// Redraws until `body` has ended, then leaves the last picture.
    public func whileDrawing<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result {
        guard isLive else { return try await body() }
        let drawing = Task { [self] in
            while !Task.isCancelled {
                draw()
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
        defer {
            drawing.cancel()
            draw()
        }
        return try await body()
    }

    private func draw() {
        let elapsed = start.duration(to: .now)
        state.withLock { state in
            let lines = Self.lines(of: state.items, width: output.width, elapsed: elapsed)
            var text = state.drawnLines > 0 ? "\u{1B}[\(state.drawnLines)A\r" : ""
            for line in lines { text += line + "\u{1B}[K\n" }
            text += "\u{1B}[J"
            state.drawnLines = lines.count
            output.write(text)
        }
    }

    /// The picture: a bar for each item and a line with the time and the sum.
    static func lines(of items: [Item], width: Int, elapsed: Duration) -> [String] {
        let nameWidth = min(items.map(\.name.count).max() ?? 0, max(20, width - 50))
        let stateWidth = items.map(\.state.count).max() ?? 0
        var lines = items.map { item -> String in
            let name = shortened(item.name, to: nameWidth)
            let sizes = sizes(of: item)
            let room = width - nameWidth - stateWidth - sizes.count - 8
            var line = padded(name + ":", nameWidth + 1) + " " + padded(item.state, stateWidth)
            if room >= 10 { line += " |" + bar(item, width: min(room, 40)) + "|" }
            if !sizes.isEmpty { line += " " + sizes }
            return String(line.prefix(width))
        }
        let sum = items.reduce(0) { $0 + $1.done }
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        let rate = seconds > 0 ? UInt64(Double(sum) / seconds) : 0
        let tenths = Int(seconds * 10)
        lines.append(
            "elapsed: \(tenths / 10).\(tenths % 10) s  total: \(HumanText.binarySize(sum)) (\(HumanText.binarySize(rate))/s)"
        )
        return lines
    }

    private static func sizes(of item: Item) -> String {
        guard let total = item.total else { return item.done > 0 ? HumanText.binarySize(item.done) : "" }
        guard !item.isFinished else { return HumanText.binarySize(total) }
        return "\(HumanText.binarySize(item.done))/\(HumanText.binarySize(total))"
    }

    static func bar(_ item: Item, width: Int) -> String {
        let share: Double =
            if item.isFinished { 1 } else if let total = item.total, total > 0 {
                min(1, Double(item.done) / Double(total))
            } else { 0 }
        let filled = Int(share * Double(width))
        return String(repeating: "+", count: filled) + String(repeating: "-", count: width - filled)
    }

    /// Cuts in the middle, since the ends of a digest or reference tell most.
    private static func shortened(_ name: String, to width: Int) -> String {
        guard name.count > width, width > 4 else { return name }
        let head = (width - 1) / 2
        return name.prefix(head) + "…" + name.suffix(width - 1 - head)
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
