// How `linux.resources` is read.

extension RuntimeSpec.Linux.Resources {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        devices = try object.optional("devices")
        memory = try object.optional("memory")
        cpu = try object.optional("cpu")
        pids = try object.optional("pids")
        blockIO = try object.optional("blockIO")
        hugepageLimits = try object.optional("hugepageLimits")
        network = try object.optional("network")
        rdma = try object.optional("rdma")
        unified = try object.optional("unified")
    }
}

extension RuntimeSpec.Linux.Resources.DeviceRule {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        allow = try object.required("allow")
        type = try object.optional("type")
        major = try object.optional("major")
        minor = try object.optional("minor")
        access = try object.optional("access")
    }
}

extension RuntimeSpec.Linux.Resources.Memory {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        limit = try object.optional("limit")
        reservation = try object.optional("reservation")
        swap = try object.optional("swap")
        kernel = try object.optional("kernel")
        kernelTCP = try object.optional("kernelTCP")
        swappiness = try object.optional("swappiness")
        disableOOMKiller = try object.optional("disableOOMKiller")
        useHierarchy = try object.optional("useHierarchy")
        checkBeforeUpdate = try object.optional("checkBeforeUpdate")
    }
}

extension RuntimeSpec.Linux.Resources.CPU {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        shares = try object.optional("shares")
        quota = try object.optional("quota")
        burst = try object.optional("burst")
        period = try object.optional("period")
        realtimeRuntime = try object.optional("realtimeRuntime")
        realtimePeriod = try object.optional("realtimePeriod")
        cpus = try object.optional("cpus")
        mems = try object.optional("mems")
        idle = try object.optional("idle")
    }
}

extension RuntimeSpec.Linux.Resources.Pids {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        limit = try object.optional("limit")
    }
}

extension RuntimeSpec.Linux.Resources.BlockIO {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        weight = try object.optional("weight")
        leafWeight = try object.optional("leafWeight")
        weightDevice = try object.optional("weightDevice")
        throttleReadBpsDevice = try object.optional("throttleReadBpsDevice")
        throttleWriteBpsDevice = try object.optional("throttleWriteBpsDevice")
        throttleReadIOPSDevice = try object.optional("throttleReadIOPSDevice")
        throttleWriteIOPSDevice = try object.optional("throttleWriteIOPSDevice")
    }
}

extension RuntimeSpec.Linux.Resources.BlockIO.WeightDevice {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        major = try object.required("major")
        minor = try object.required("minor")
        weight = try object.optional("weight")
        leafWeight = try object.optional("leafWeight")
    }
}

extension RuntimeSpec.Linux.Resources.BlockIO.ThrottleDevice {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        major = try object.required("major")
        minor = try object.required("minor")
        rate = try object.required("rate")
    }
}

extension RuntimeSpec.Linux.Resources.HugepageLimit {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        pageSize = try object.required("pageSize")
        limit = try object.required("limit")
    }
}

extension RuntimeSpec.Linux.Resources.Network {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        classID = try object.optional("classID")
        priorities = try object.optional("priorities")
    }
}

extension RuntimeSpec.Linux.Resources.Network.Priority {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        name = try object.required("name")
        priority = try object.required("priority")
    }
}

extension RuntimeSpec.Linux.Resources.Rdma {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        hcaHandles = try object.optional("hcaHandles")
        hcaObjects = try object.optional("hcaObjects")
    }
}
