internal import CRIAPI
internal import Engine

extension Runtime_V1_PodSandboxMetrics {
    init(_ metrics: PodMetrics) {
        self.init()
        podSandboxID = metrics.podID
        self.metrics = metrics.samples.map(Runtime_V1_Metric.init)
        containerMetrics = metrics.containers.map { container in
            Runtime_V1_ContainerMetrics.with {
                $0.containerID = container.id
                $0.metrics = container.samples.map(Runtime_V1_Metric.init)
            }
        }
    }
}

extension Runtime_V1_Metric {
    init(_ sample: MetricSample) {
        self.init()
        name = sample.name
        timestamp = sample.timestamp
        metricType = sample.isCounter ? .counter : .gauge
        labelValues = sample.labels
        value = Runtime_V1_UInt64Value(sample.value)
    }
}
