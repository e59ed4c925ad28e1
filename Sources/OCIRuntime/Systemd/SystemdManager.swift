internal import Core
internal import LinuxKernel
internal import SystemPackage

/// systemd's manager over D-Bus (org.freedesktop.systemd1(5)): units are started, changed and stopped, each to its end.
public final class SystemdManager {
    public typealias Property = (name: String, value: DBusValue)

    private static let service = "org.freedesktop.systemd1"
    private static let path = "/org/freedesktop/systemd1"
    private static let interface = "org.freedesktop.systemd1.Manager"

    private let connection: DBusConnection

    /// - Parameter isUser: the manager of this user's session, else the system's.
    /// - Throws: `BerthError` (`unavailable`) that names where it was looked for.
    public init(isUser: Bool = false) throws {
        let places = isUser ? Self.userPlaces : Self.systemPlaces
        var failure: (any Error)?
        var found: DBusConnection?
        for place in places where found == nil && Files.exists(place.path) {
            do { found = try DBusConnection(place.path, isBus: place.isBus) } catch { failure = error }
        }
        guard let found else {
            throw BerthError(
                .unavailable,
                "systemd's manager cannot be reached at \(places.map(\.path.string).joined(separator: " or "))",
                cause: failure, advice: "use the cgroupfs driver where systemd does not run")
        }
        connection = found
        // Signals of units come to subscribers alone; over a bus they are asked for there too.
        if places.contains(where: { $0.isBus }) {
            let rule =
                "type='signal',sender='\(Self.service)',path='\(Self.path)',interface='\(Self.interface)',member='JobRemoved'"
            _ = try? connection.call(
                "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", [.string(rule)])
        }
        do {
            _ = try call("Subscribe")
        } catch let error as DBusFailure where error.name == "org.freedesktop.systemd1.AlreadySubscribed" {}
    }

    private struct Place {
        var path: FilePath
        var isBus: Bool
    }

    /// The bus first, since anybody may talk to it; the manager's own socket, which is root's, where there is none.
    private static var systemPlaces: [Place] {
        let named = busPath(Environment.value("DBUS_SYSTEM_BUS_ADDRESS"))
        return [named ?? "/run/dbus/system_bus_socket"].map { Place(path: $0, isBus: true) } + [
            Place(path: "/run/systemd/private", isBus: false)
        ]
    }

    private static var userPlaces: [Place] {
        let runtime = FilePath(Environment.value("XDG_RUNTIME_DIR") ?? "/run/user/\(Syscall.effectiveUserID)")
        let named = busPath(Environment.value("DBUS_SESSION_BUS_ADDRESS"))
        return [
            Place(path: named ?? runtime.appending("bus"), isBus: true),
            Place(path: runtime.pushing("systemd/private"), isBus: false),
        ]
    }

    /// The first unix path of a list of D-Bus addresses: `unix:path=/run/bus,guid=…;…`.
    static func busPath(_ addresses: String?) -> FilePath? {
        for address in (addresses ?? "").split(separator: ";") where address.hasPrefix("unix:") {
            for pair in address.dropFirst(5).split(separator: ",") where pair.hasPrefix("path=") {
                let path = FilePath(String(pair.dropFirst(5)))
                if path.isAbsolute { return path }
            }
        }
        return nil
    }

    @discardableResult
    private func call(_ member: String, _ body: [DBusValue] = []) throws -> [DBusValue] {
        try connection.call(Self.service, Self.path, Self.interface, member, body)
    }

    /// The cgroup below which the manager's units lie: `/` of a host, or the one of a container or a user's session.
    public func controlGroup() throws -> String {
        let answer = try connection.call(
            Self.service, Self.path, "org.freedesktop.DBus.Properties", "Get",
            [.string(Self.interface), .string("ControlGroup")])
        let path = answer.first?.text ?? ""
        return path.isEmpty ? "/" : path
    }

    // MARK: Units

    /// Starts a unit that is gone with its last process. Returns when its cgroup is there.
    ///
    /// - Throws: `BerthError` (`alreadyExists`) where a unit of that name runs.
    public func startTransient(_ unit: SystemdUnit, _ properties: [Property]) throws {
        let body: [DBusValue] = [
            .string(unit.name), .string("replace"), Self.array(properties), .array(of: "(sa(sv))", []),
        ]
        do {
            try startOnce(unit, body)
        } catch let error as DBusFailure where error.name == "org.freedesktop.systemd1.UnitExists" {
            // A failed one of before stays until it is told to go.
            try resetFailed(unit.name)
            do {
                try startOnce(unit, body)
            } catch let error as DBusFailure where error.name == "org.freedesktop.systemd1.UnitExists" {
                throw BerthError(.alreadyExists, "systemd unit \(unit.name) exists already", cause: error)
            } catch let error as DBusFailure {
                throw Self.refused("start", unit.name, error)
            }
        } catch let error as DBusFailure {
            throw Self.refused("start", unit.name, error)
        }
    }

    private func startOnce(_ unit: SystemdUnit, _ body: [DBusValue]) throws {
        try finish(try call("StartTransientUnit", body), "start", unit.name)
    }

    /// Returns when it is gone; one that is not there is no error.
    public func stop(_ unit: SystemdUnit) throws {
        do {
            try finish(try call("StopUnit", [.string(unit.name), .string("replace")]), "stop", unit.name)
        } catch let error as DBusFailure {
            guard Self.isMissing(error) else { throw Self.refused("stop", unit.name, error) }
        }
        // One that was killed by the kernel (out of memory) stays as failed.
        try resetFailed(unit.name)
    }

    private func resetFailed(_ unit: String) throws {
        do {
            try call("ResetFailedUnit", [.string(unit)])
        } catch let error as DBusFailure {
            guard Self.isMissing(error) else { throw Self.refused("reset", unit, error) }
        }
    }

    /// Changes a unit that runs, until it is gone.
    public func set(_ properties: [Property], of unit: SystemdUnit) throws {
        guard !properties.isEmpty else { return }
        do {
            try call("SetUnitProperties", [.string(unit.name), .boolean(true), Self.array(properties)])
        } catch let error as DBusFailure {
            throw Self.refused("change", unit.name, error)
        }
    }

    private static func array(_ properties: [Property]) -> DBusValue {
        .array(of: "(sv)", properties.map { .structure([.string($0.name), .variant($0.value)]) })
    }

    /// A call that makes a job answers with its path; the job's end is a signal (u id, o job, s unit, s result).
    private func finish(_ answer: [DBusValue], _ verb: String, _ unit: String) throws {
        guard case .objectPath(let job) = answer.first else {
            throw BerthError(.internal, "systemd: \(verb) unit \(unit): the answer names no job")
        }
        let removed = try connection.signal {
            $0.member == "JobRemoved" && $0.body.count == 4 && $0.body[1].text == job
        }
        let result = removed.body[3].text ?? ""
        guard result == "done" else {
            throw BerthError(.failedPrecondition, "systemd: \(verb) unit \(unit): the job's result is \"\(result)\"")
        }
    }

    private static func isMissing(_ error: DBusFailure) -> Bool {
        error.name == "org.freedesktop.systemd1.NoSuchUnit"
    }

    private static func refused(_ verb: String, _ unit: String, _ error: DBusFailure) -> BerthError {
        BerthError(.failedPrecondition, "systemd: \(verb) unit \(unit)", cause: error)
    }
}
