import CRIAPI
import Core
import Engine
import Testing

@testable import CRIServer

@Suite("Decoding requests") struct DecodeTests {
    private func pod(_ change: (inout Runtime_V1_PodSandboxConfig) -> Void) throws -> PodSandboxConfig {
        try PodSandboxConfig(
            .with {
                $0.metadata.name = "p"
                $0.metadata.uid = "u"
                $0.metadata.namespace = "n"
                change(&$0)
            })
    }

    private func container(_ change: (inout Runtime_V1_ContainerConfig) -> Void) throws -> ContainerConfig {
        try ContainerConfig(
            .with {
                $0.metadata.name = "c"
                $0.image.image = "box"
                change(&$0)
            })
    }

    private func refusal(_ body: () throws -> some Any) throws -> String {
        let error = try #require(throws: BerthError.self) { _ = try body() }
        #expect([.invalidArgument, .unimplemented].contains(error.code))
        return error.message
    }

    @Test func aPodKeepsAllThatItIsTold() throws {
        let config = try pod {
            $0.metadata.attempt = 3
            $0.dnsConfig.servers = ["1.1.1.1"]
            $0.portMappings = [
                .with {
                    $0.protocol = .udp; $0.containerPort = 53; $0.hostPort = 5353; $0.hostIp = "127.0.0.1"
                }
            ]
            $0.linux.cgroupParent = "/kubepods/x"
            $0.linux.sysctls = ["net.core.somaxconn": "9"]
            $0.linux.securityContext.namespaceOptions.pid = .container
            $0.linux.securityContext.namespaceOptions.network = .node
        }
        #expect(config.metadata.attempt == 3)
        #expect(config.dns?.servers == ["1.1.1.1"])
        #expect(
            config.portMappings == [
                PodPortMapping(transport: .udp, containerPort: 53, hostPort: 5353, hostIP: "127.0.0.1")
            ])
        #expect(config.cgroupParent == "/kubepods/x")
        #expect(config.security.namespaces.network == .node)
        #expect(config.security.namespaces.pid == .container)
    }

    @Test func settingsOfAnotherSystemAreRefused() throws {
        #expect(try refusal { try pod { $0.windows.securityContext.runAsUsername = "x" } }.hasPrefix("config.windows"))
        #expect(try refusal { try container { $0.windows.resources.cpuShares = 5 } }.hasPrefix("config.windows"))
    }

    @Test func aPodWithoutDNSHasNoneOfItsOwn() throws {
        #expect(try pod { _ in }.dns == nil)
        #expect(try pod { $0.dnsConfig = .init() }.dns == DNSConfig())
    }

    @Test func refusalsNameTheFieldAndTheValue() throws {
        #expect(try refusal { try PodSandboxConfig(.init()) }.contains("config.metadata"))
        #expect(try refusal { try ContainerConfig(.init()) }.contains("config.metadata"))
        #expect(try refusal { try pod { $0.portMappings = [.with { $0.containerPort = 70_000 }] } }.contains("70000"))
        #expect(try refusal { try pod { $0.linux.securityContext.runAsGroup.value = 5 } }.contains("run_as_group"))
        #expect(try refusal { try container { $0.linux.securityContext.runAsUser.value = -1 } }.contains("run_as_user"))
        #expect(try refusal { try container { $0.stopSignal = .UNRECOGNIZED(99) } }.contains("99"))
        #expect(
            try refusal { try container { $0.mounts = [.with { $0.containerPath = "/x" }] } }.contains(
                "mounts[0].host_path"))
        #expect(
            try refusal {
                try container {
                    $0.mounts = [
                        .with {
                            $0.containerPath = "/x"; $0.hostPath = "/y"; $0.recursiveReadOnly = true
                        }
                    ]
                }
            }.contains("recursive_read_only"))
        #expect(
            try refusal { try container { $0.linux.securityContext.namespaceOptions.pid = .target } }.contains(
                "target_id"))
        #expect(
            try refusal {
                try container {
                    $0.envs = [
                        .with {
                            $0.key = "A"; $0.value = .init([0xff])
                        }
                    ]
                }
            }.contains("envs[0]"))
        #expect(
            try refusal { try container { $0.linux.securityContext.seccompProfilePath = "other" } }.contains("other"))
    }

    @Test func aMountIsOfAHostPathOrOfAnImage() throws {
        let config = try container {
            $0.mounts = [
                .with {
                    $0.containerPath = "/m"
                    $0.readonly = true
                    $0.image.image = "model:1"
                    $0.image.userSpecifiedImage = "model"
                    $0.imageSubPath = "weights"
                },
                // What clients of older days send for no image.
                .with {
                    $0.containerPath = "/h"
                    $0.hostPath = "/etc"
                    $0.image = .init()
                },
            ]
        }
        #expect(config.mounts[0].image?.image == "model:1")
        #expect(config.mounts[0].imageSubPath == "weights")
        #expect(config.mounts[0].hostPath == "")
        #expect(config.mounts[1].image == nil)
        #expect(config.mounts[1].hostPath == "/etc")
        #expect(
            try refusal {
                try container {
                    $0.mounts = [
                        .with {
                            $0.containerPath = "/m"; $0.hostPath = "/etc"; $0.image.image = "model:1"
                        }
                    ]
                }
            }.contains("mounts[0].host_path"))
        // A kubelet (1.36) sets the sub-path of a volume of another kind, too.
        let ofDirectory = try container {
            $0.mounts = [
                .with {
                    $0.containerPath = "/m"; $0.hostPath = "/volumes/x"; $0.imageSubPath = "x"
                }
            ]
        }
        #expect(ofDirectory.mounts[0].hostPath == "/volumes/x")
        #expect(ofDirectory.mounts[0].imageSubPath == nil)
    }

    @Test func seccompIsReadInBothForms() throws {
        #expect(try container { _ in }.security.seccomp == nil)
        #expect(
            try container { $0.linux.securityContext.seccomp.profileType = .unconfined }.security.seccomp == .unconfined
        )
        #expect(
            try container { $0.linux.securityContext.seccompProfilePath = "localhost/x.json" }.security.seccomp
                == .localhost("x.json"))
    }

    @Test func everySignalOfTheWireHasANumberAndComesBack() throws {
        for signal in Runtime_V1_Signal.allCases where signal != .runtimeDefault {
            let number = try #require(try StopSignal.number(of: signal))
            #expect((1...64).contains(number))
            #expect(try StopSignal.number(of: StopSignal.signal(of: number)) == number)
        }
        #expect(try StopSignal.number(of: .sigterm) == 15)
        #expect(try StopSignal.number(of: .sigrtmin) == 34)
        #expect(try StopSignal.number(of: .sigrtmax) == 64)
        #expect(try StopSignal.number(of: .runtimeDefault) == nil)
    }

    @Test func loginsAreReadInEachForm() throws {
        #expect(try RegistryLogin.decode(.init()) == nil)
        #expect(try RegistryLogin.decode(.with { $0.auth = "dTpwOnc=" }) == .basic(username: "u", password: "p:w"))
        #expect(try RegistryLogin.decode(.with { $0.identityToken = "t" }) == .identityToken("t"))
        let error = try #require(throws: BerthError.self) { try RegistryLogin.decode(.with { $0.auth = "secret!" }) }
        #expect(!error.message.contains("secret"))
    }

    @Test func listsAreCutIntoPieces() {
        #expect(Array(0..<5).pieces(of: 2).map(Array.init) == [[0, 1], [2, 3], [4]])
        #expect([Int]().pieces(of: 2).isEmpty)
    }
}
