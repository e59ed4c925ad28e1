# berthd beside Debian's containerd with runc and exec'ed plugins, over CRI. Sourced by hack/bench.

# weigh PATTERN: proportional set size, in MiB, of all processes whose command line matches.
weigh() {
    local pid total=0 size
    for pid in $(pgrep -f -- "$1" || true); do
        [ "$pid" != $$ ] || continue
        size=$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup" 2> /dev/null || echo 0)
        total=$((total + ${size:-0}))
    done
    awk -v kib="$total" 'BEGIN { printf "%.3f", kib / 1024 }'
}

resident() { awk '/^VmRSS:/ {printf "%.2f", $2 / 1024}' "/proc/$1/status"; }

# drive NAME SOCKET PATTERN DAEMON-PID OPTIONS...: runs bench-cri; leaves $work/NAME.json, and NAME.weight (MiB a pod) of the
# processes that match and of what the daemon has grown by.
drive() {
    local name=$1 socket=$2 pattern=$3 daemon=$4 before after grown line
    shift 4
    before=$(weigh "$pattern")
    grown=$(resident "$daemon")
    coproc bench {
        "$bench_cri" measure --socket "$socket" --image docker.io/library/busybox:bench --daemon "$daemon" \
            --cgroup-parent "/berth-bench-$name" "$@"
    }
    local output=${bench[0]} input=${bench[1]} pid=$bench_PID
    read -r line <&"$output" || true
    [ "$line" = holding ] || die "bench-cri on $name failed"
    after=$(weigh "$pattern")
    grown=$(awk -v a="$(resident "$daemon")" -v b="$grown" 'BEGIN { print a - b }')
    echo >&"$input"
    cat <&"$output" > "$work/$name.json"
    wait "$pid"
    awk -v a="$after" -v b="$before" -v n="$(jq .pods "$work/$name.json")" 'BEGIN { printf "%.3f\n", (a - b) / n }' \
        > "$work/$name.weight"
    awk -v g="$grown" -v n="$(jq .pods "$work/$name.json")" 'BEGIN { printf "%.3f\n", g / n }' > "$work/$name.grown"
}

wait_socket() {
    local tries=100
    until "$bin/berth-crictl" -r "unix://$1" -i "unix://$1" version > /dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { tail -n 20 "$2" >&2; die "no answer on $1"; }
        sleep 0.1
    done
}

# quantiles NAME LEVEL CALL: "p50 (p99) ms" of a call, or nothing.
quantiles() {
    jq -r --arg level "at $2" --arg call "$3" '.[$level][$call] // empty | "\(.p50) \(.p99)"' "$work/$1.json" \
        | awk '{ printf "%.2f ms (%.2f ms)", $1, $2 }'
}

# quantile_row WORK NAME CALL PEER PEER-NAME PEER-LEVEL [LEVEL]: a line of the table for a call, beside the peer's.
quantile_row() {
    local ours theirs
    ours=$(quantiles "$2" "${7:-1}" "$3")
    theirs=$(quantiles "$5" "$6" "$3")
    table+=("$(awk -v work="$1" -v ours="$ours" -v peer="$4" -v theirs="$theirs" \
        'BEGIN { printf "| %s | %s | %s: %s | %.2fx |", work, ours, peer, theirs, ours / theirs }')")
}

# call_rows PEER: a line of the table for each call at each number of pods; beside the peer at the highest that it has.
call_rows() {
    local level call at highest pods
    highest=${peer_levels##*,}
    for level in ${levels//,/ }; do
        at=$level
        [ "$at" -le "$highest" ] || at=$highest
        pods=$([ "$level" = 1 ] && echo pod || echo pods)
        for call in start RunPodSandbox CreateContainer StartContainer ExecSync StopContainer RemoveContainer \
            StopPodSandbox RemovePodSandbox ListContainers ListPodSandbox; do
            quantile_row "${call/#start/sandbox+create+start}, $level $pods" berth "$call" \
                "$1$([ "$at" = "$level" ] || echo ", $at pods")" containerd "$at" "$level"
        done
    done
}

bench_cri() {
    "$bin/berth-ctr" image build-rootfs --busybox /bin/busybox --tag docker.io/library/busybox:bench --output "$work/busybox.tar"

    say "berthd: calls at $levels pods, $samples samples each"
    cat > "$work/berth.toml" <<TOML
[network]
cni_config_directory = "$work/no-cni"
bridge = "berthbench0"
subnets = ["10.233.0.0/16"]
TOML
    unshare --net "$bin/berthd" --config "$work/berth.toml" --root "$work/berth/root" --state "$work/run/berth" \
        --address "$work/berth.sock" --log-level warning > "$work/berthd.log" 2>&1 &
    local berthd=$!
    daemons+=("$berthd")
    wait_socket "$work/berth.sock" "$work/berthd.log"
    # Idle: nothing but its start and one answer is behind it.
    sleep 5
    local idle_ours idle_peer
    idle_ours=$(resident "$berthd")
    "$bin/berth-ctr" -a "$work/berth.sock" -n k8s.io image import "$work/busybox.tar" > /dev/null
    drive berth "$work/berth.sock" "berth-launch|$work/run/berth" "$berthd" --levels "$levels" --samples "$samples"
    bench_plugins

    say "containerd with runc: calls at $peer_levels pods, $peer_samples samples each"
    start_containerd
    drive containerd "$work/containerd.sock" "containerd-shim.*$work|^/pause" "$containerd" --levels "$peer_levels" \
        --samples "$peer_samples" --rate-pods "$peer_pods" --probe-seconds 5

    local peer
    peer="containerd $(containerd --version | awk '{print $3}') + runc"
    call_rows "$peer"
    plugin_rows "$peer"
    field() { jq -r "$2" "$work/$1.json"; }
    row "pods a second, 1 worker" "$(field berth '."rate 1"')" "$peer" "$(field containerd '."rate 1"')" ""
    row "pods a second, 8 workers" "$(field berth '."rate 8"')" "$peer" "$(field containerd '."rate 8"')" ""
    row "daemon's processor, 100 exec probes a second" "$(field berth .probes.daemon)" \
        "$peer ($(field containerd '.probes.perSecond | round') a second)" "$(field containerd .probes.daemon)" "% of a core"
    row "memory a pod, proportional, without the daemon" "$(cat "$work/berth.weight")" "$peer" "$(cat "$work/containerd.weight")" MiB
    row "growth of the daemon, a pod" "$(cat "$work/berth.grown")" "$peer" "$(cat "$work/containerd.grown")" MiB
    row "idle daemon, resident" "$idle_ours" "$peer" "$idle_peer" MiB
    local highest=${levels##*,}
    row "sandbox+create+start at $highest pods" "$(field berth ".\"at $highest\".start.p50")" "itself at ${levels%%,*} pod" \
        "$(field berth ".\"at ${levels%%,*}\".start.p50")" ms
}

# conflist NAME: the plugins of a daemon, which are exec'ed.
conflist() {
    mkdir -p "$work/cni-$1"
    cat > "$work/cni-$1/10-bench.conflist" <<CNI
{"cniVersion": "0.4.0", "name": "bench", "plugins": [{"type": "bridge", "bridge": "benchbr0", "isGateway": true,
 "ipam": {"type": "host-local", "subnet": "10.234.0.0/16", "dataDir": "$work/ipam-$1", "routes": [{"dst": "0.0.0.0/0"}]}}]}
CNI
}

# bench_plugins: a second berthd, with the plugins that containerd has instead of the built-in network.
bench_plugins() {
    say "berthd with exec'ed plugins: calls at 1 pod, $peer_samples samples each"
    conflist plugins
    printf '[network]\ncni_config_directory = "%s"\n' "$work/cni-plugins" > "$work/plugins.toml"
    unshare --net "$bin/berthd" --config "$work/plugins.toml" --root "$work/plugins/root" --state "$work/run/plugins" \
        --address "$work/plugins.sock" --log-level warning > "$work/plugins.log" 2>&1 &
    local daemon=$!
    daemons+=("$daemon")
    wait_socket "$work/plugins.sock" "$work/plugins.log"
    "$bin/berth-ctr" -a "$work/plugins.sock" -n k8s.io image import "$work/busybox.tar" > /dev/null
    drive plugins "$work/plugins.sock" "berth-launch|$work/run/plugins" "$daemon" --levels 1 --samples "$peer_samples" \
        --rate-pods 1 --probe-seconds 1
}

plugin_rows() {
    local call work
    for call in start RunPodSandbox; do
        work="${call/#start/sandbox+create+start}, 1 pod, exec'ed plugins"
        quantile_row "$work" plugins "$call" "$1" containerd 1
        quantile_row "$work" plugins "$call" "berth with its built-in network" berth 1
    done
}

start_containerd() {
    mkdir -p "$work/pause/rootfs"
    conflist containerd
    printf '#include <unistd.h>\nint main(void) { for (;;) pause(); }\n' > "$work/pause.c"
    cc -Os -static -o "$work/pause/rootfs/pause" "$work/pause.c"
    umoci init --layout "$work/pause/oci" > /dev/null
    umoci new --image "$work/pause/oci:latest" > /dev/null
    umoci insert --image "$work/pause/oci:latest" "$work/pause/rootfs/pause" /pause > /dev/null
    umoci config --image "$work/pause/oci:latest" --config.entrypoint /pause > /dev/null
    skopeo copy -q "oci:$work/pause/oci:latest" "oci-archive:$work/pause.tar:docker.io/library/pause:bench"
    cat > "$work/containerd.toml" <<TOML
version = 2
root = "$work/containerd/root"
state = "$work/run/containerd"
[grpc]
address = "$work/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/pause:bench"
disable_hugetlb_controller = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$work/cni-containerd"
TOML
    unshare --net containerd --config "$work/containerd.toml" > "$work/containerd.log" 2>&1 &
    containerd=$!
    daemons+=("$containerd")
    wait_socket "$work/containerd.sock" "$work/containerd.log"
    sleep 5
    idle_peer=$(resident "$containerd")
    local archive
    for archive in busybox pause; do
        ctr -a "$work/containerd.sock" -n k8s.io images import "$work/$archive.tar" > /dev/null
    done
}
