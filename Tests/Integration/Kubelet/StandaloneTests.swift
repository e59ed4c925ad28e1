internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

@Suite struct StandaloneKubeletTests {
    @Test func manifestBecomesAPodRestartsAndGoes() async throws {
        try await Daemon.with { daemon in
            let manifests = try daemon.scratch.directory("manifests")
            let port = Int.random(in: 20_000..<32_000)
            let log = try FileDescriptor.open(
                daemon.scratch.appending("kubelet.log"), .writeOnly, options: [.create, .append],
                permissions: .ownerReadWrite)
            let kubelet = try Spawn.spawn(
                executable: Program.folder.appending("berth-kubelet"),
                arguments: [
                    "berth-kubelet", "--standalone", "--manifests", manifests.string, "--runtime",
                    "unix://\(daemon.socket)",
                    "--root-dir", daemon.scratch.appending("kubelet").string, "--log-dir",
                    daemon.scratch.appending("podlogs").string, "--port", "\(port)", "--cgroup-root",
                    daemon.cgroupParent,
                ],
                environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], descriptors: [(log, 1), (log, 2)], newSession: true
            )
            try? log.close()
            do {
                try await exercise(daemon, manifests, port)
            } catch {
                print((try? Files.readText(daemon.scratch.appending("kubelet.log")).suffix(6000)) ?? "")
                try? kubelet.signal(9)
                _ = try? await kubelet.wait()
                throw error
            }
            try kubelet.signal(15)
            #expect(try await kubelet.wait() == .exited(0))
        }
    }

    private func exercise(_ daemon: Daemon, _ manifests: FilePath, _ port: Int) async throws {
        let manifest = """
            apiVersion: v1
            kind: Pod
            metadata: {name: pair, namespace: default}
            spec:
              volumes: [{name: shared, emptyDir: {}}]
              containers:
              - name: writer
                image: \(Daemon.image)
                imagePullPolicy: Never
                command: [/bin/sh, -c, "echo from-writer > /shared/file; sleep 1000"]
                volumeMounts: [{name: shared, mountPath: /shared}]
                livenessProbe: {exec: {command: [/bin/cat, /shared/file]}, periodSeconds: 1, failureThreshold: 1}
              - name: reader
                image: \(Daemon.image)
                imagePullPolicy: Never
                command: [/bin/sh, -c, "until cat /shared/file; do sleep 0.1; done; sleep 1000"]
                volumeMounts: [{name: shared, mountPath: /shared}]
            """
        try Files.writeAtomically(manifests.appending("pair.yaml"), Array(manifest.utf8), mode: 0o644)
        try await eventually("both containers to run", within: .seconds(20)) {
            try await daemon.crictl.check("ps", "-q").lines.count == 2
        }
        let reader = try #require(
            try await daemon.crictl.check("ps", "-q", "--name", "reader").lines.first.map(String.init))
        try await eventually("the reader's log") {
            try await daemon.crictl.check("logs", reader).standardOutput == "from-writer\n"
        }
        let pods = try await Program.system("curl").check("-sf", "http://127.0.0.1:\(port)/pods").standardOutput
        #expect(pods.contains("\"pair\""))
        #expect(
            try await Program.system("curl").check("-sf", "http://127.0.0.1:\(port)/healthz").standardOutput == "ok")

        // The liveness probe fails once its file is gone: the writer is restarted.
        let writer = try #require(
            try await daemon.crictl.check("ps", "-q", "--name", "writer").lines.first.map(String.init))
        try await daemon.crictl.check("exec", "--sync", writer, "rm", "/shared/file")
        try await eventually("the writer to be restarted", within: .seconds(60)) {
            let now = try await daemon.crictl.check("ps", "-q", "--name", "writer").lines.first.map(String.init)
            return now != nil && now != writer
        }

        try Syscall.unlinkat(manifests.appending("pair.yaml"))
        try await eventually("the pod to be removed", within: .seconds(60)) {
            try await daemon.crictl.check("pods", "-q").standardOutput == ""
        }
    }
}
