internal import LaunchAPI
internal import LinuxKernel

typealias Plan = Berth_Launch_V1_Plan
typealias Step = Berth_Launch_V1_Step

/// Collects the steps of a plan, each with its place and its words.
struct PlanBuilder {
    private(set) var steps: [Step] = []

    mutating func host(_ words: String, optional: Bool = false, _ action: Step.OneOf_Action) {
        add(.host, words, optional, action)
    }

    mutating func child(_ words: String, optional: Bool = false, _ action: Step.OneOf_Action) {
        add(.child, words, optional, action)
    }

    private mutating func add(
        _ place: Berth_Launch_V1_Place, _ words: String, _ optional: Bool, _ action: Step.OneOf_Action
    ) {
        var step = Step()
        step.place = place
        step.words = words
        step.optional = optional
        step.action = action
        steps.append(step)
    }

    func plan(id: String) -> Plan {
        var plan = Plan()
        plan.version = 1
        plan.id = id
        plan.steps = steps
        return plan
    }
}
