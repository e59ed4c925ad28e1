/// Rows in aligned columns, as crictl and ctr print them (the layout of Go's text/tabwriter).
public struct TextTable: Sendable {
    public struct Layout: Sendable {
        /// A column is never narrower than this, padding included.
        public var minimumWidth: Int
        /// Blanks between the widest cell of a column and the next column.
        public var padding: Int
        /// Whether the last cell of a row is filled up too.
        public var padsLastColumn: Bool
        /// Fill with tab stops of this width instead of blanks.
        public var tabStop: Int?

        public init(minimumWidth: Int, padding: Int, padsLastColumn: Bool = false, tabStop: Int? = nil) {
            self.minimumWidth = minimumWidth
            self.padding = padding
            self.padsLastColumn = padsLastColumn
            self.tabStop = tabStop
        }

        /// crictl's lists: columns of at least 20 characters, three blanks between.
        public static let crictl = Layout(minimumWidth: 20, padding: 3)
        /// ctr's lists: one blank after every cell, the last one too.
        public static let ctr = Layout(minimumWidth: 1, padding: 1, padsLastColumn: true)
        /// `ctr content ls`: tab stops of eight.
        public static let ctrTabs = Layout(minimumWidth: 1, padding: 1, tabStop: 8)
    }

    public let layout: Layout
    private var rows: [[String]] = []

    public init(_ layout: Layout, header: [String]? = nil) {
        self.layout = layout
        if let header { rows.append(header) }
    }

    public mutating func add(_ row: [String]) {
        rows.append(row)
    }

    /// Every row on a line of its own, ending in a newline; empty for a table without rows.
    public func render() -> String {
        let widths = columnWidths()
        var text = ""
        for row in rows {
            for (column, cell) in row.enumerated() {
                text += cell
                guard column < row.count - 1 || layout.padsLastColumn else { continue }
                text += fill(width: widths[column], used: cell.count)
            }
            text += "\n"
        }
        return text
    }

    private func columnWidths() -> [Int] {
        let columns = rows.map(\.count).max() ?? 0
        return (0..<columns).map { column in
            // The last cell of a row does not widen its column when nothing follows it.
            let cells = rows.compactMap { row -> Int? in
                guard column < row.count - 1 || (layout.padsLastColumn && column < row.count) else { return nil }
                return row[column].count
            }
            let widest = cells.max() ?? 0
            guard widest > 0 else { return layout.tabStop == nil ? max(layout.minimumWidth, 0) : 0 }
            return max(widest + layout.padding, layout.minimumWidth)
        }
    }

    private func fill(width: Int, used: Int) -> String {
        guard let stop = layout.tabStop else { return String(repeating: " ", count: max(0, width - used)) }
        let end = (width + stop - 1) / stop * stop
        return String(repeating: "\t", count: max(0, (end - used + stop - 1) / stop))
    }
}
