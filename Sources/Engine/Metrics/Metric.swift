/// What a metric is (CRI `MetricDescriptor`).
public struct MetricDescriptor: Sendable, Equatable {
    public let name: String
    public let help: String
    /// Names of the labels, in the order of each sample's values.
    public let labels: [String]
}

/// One value of a metric at one moment.
public struct MetricSample: Sendable, Equatable {
    public let name: String
    /// Else a gauge.
    public let isCounter: Bool
    /// Nanoseconds since the epoch.
    public let timestamp: Int64
    /// As many as the descriptor has labels.
    public let labels: [String]
    public let value: UInt64
}

/// The samples of a pod and of its containers that run.
public struct PodMetrics: Sendable {
    public let podID: String
    public let samples: [MetricSample]
    public let containers: [(id: String, samples: [MetricSample])]
}
