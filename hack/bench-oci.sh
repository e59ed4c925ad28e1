# berth-oci beside runc, crun and a bare C program: sourced by hack/bench.

make_bundle() {
    mkdir -p "$1/rootfs/bin" "$1/rootfs/"{proc,dev,sys,tmp,etc}
    cp /bin/busybox "$1/rootfs/bin/busybox"
    ln -s busybox "$1/rootfs/bin/true"
    ln -s busybox "$1/rootfs/bin/sleep"
    ln -s busybox "$1/rootfs/bin/sh"
    (cd "$1" && runc spec && jq '.process.args = ["/bin/true"] | .process.terminal = false' config.json > c && mv c config.json)
}

# The command of each runtime, by its name.
declare -A oci

bench_oci() {
    local bundle=$work/bundle
    make_bundle "$bundle"
    mkdir "$work/sleeping"
    jq --arg root "$bundle/rootfs" '.root.path = $root | .process.args = ["/bin/sleep", "1000"]' "$bundle/config.json" \
        > "$work/sleeping/config.json"
    cc -O2 -static -o "$work/bare" Benchmarks/bare.c
    oci=([berth-oci]="$bin/berth-oci --root $work/run/berth-oci" [runc]="runc --root $work/run/runc"
        [crun]="crun --root $work/run/crun")
    peers=(runc)
    if ${oci[crun]} run --bundle "$bundle" bench > /dev/null 2>&1; then
        peers+=(crun)
    else
        notes+=("crun $(crun --version | sed -n 's/^crun version //p') refuses this machine's cgroups and is left out.")
    fi
    say "run of /bin/true, create to delete ($runs runs each)"
    compare "run /bin/true" "$runs" "RUNTIME run --bundle $bundle bench" \
        -n bare "$work/bare $bundle/rootfs /bin/true"
    row "run /bin/true" "$(median_ms "$work/oci.json" berth-oci)" "bare C program" "$(median_ms "$work/oci.json" bare)" ms
    # Each call is made by a shell, whose start is in every figure.
    say "create, start and delete ($runs runs each)"
    compare "create, start, delete" "$runs" \
        "sh -c 'RUNTIME create --bundle $work/sleeping bench && RUNTIME start bench && RUNTIME delete --force bench'"
    bench_exec
    say "$series containers one after the other, and 8 at a time (3 runs each)"
    compare "$series containers in sequence" 3 \
        "sh -c 'for i in $(seq -s " " "$series"); do RUNTIME run --bundle $bundle bench\$i || exit 1; done'"
    compare "$series containers, 8 at a time" 3 "sh -c 'seq $series | xargs -P 8 -I{} RUNTIME run --bundle $bundle bench{}'"
    bench_memory
}

# compare WORK RUNS COMMAND [HYPERFINE-ARGUMENT...]: COMMAND with each runtime in the place of RUNTIME, as rows of the table;
# leaves $work/oci.json.
compare() {
    local work_name=$1 count=$2 command=$3 name commands=()
    shift 3
    for name in berth-oci "${peers[@]}"; do commands+=(-n "$name" "${command//RUNTIME/${oci[$name]}}"); done
    hyperfine -N -w 1 -r "$count" --export-json "$work/oci.json" "${commands[@]}" "$@" > "$work/hyperfine.log" 2>&1 \
        || { tail -n 5 "$work/hyperfine.log" >&2; die "a runtime failed; try the commands of: ${commands[*]}"; }
    for name in "${peers[@]}"; do
        row "$work_name" "$(median_ms "$work/oci.json" berth-oci)" "$name" "$(median_ms "$work/oci.json" "$name")" ms
    done
}

bench_exec() {
    local name
    say "exec of /bin/true ($samples each)"
    for name in berth-oci "${peers[@]}"; do
        ${oci[$name]} run --detach --bundle "$work/sleeping" berth-bench-exec < /dev/null > /dev/null 2>&1
    done
    compare "exec /bin/true" "$samples" "RUNTIME exec berth-bench-exec /bin/true"
    for name in berth-oci "${peers[@]}"; do ${oci[$name]} delete --force berth-bench-exec; done
}

# peak COMMAND...: KiB of the largest process that ran for it (getrusage(2)). time(1) is small: a process has at least the
# peak of the one that it was before exec.
peak() {
    /usr/bin/time --quiet -f %M -o "$work/peak" "$@" > /dev/null 2>&1
    cat "$work/peak"
}

# starts_with KIB RUNTIME: whether a container with that memory limit comes to its end.
starts_with() {
    jq --arg root "$work/bundle/rootfs" ".root.path = \$root | .linux.resources.memory.limit = $(($1 * 1024))" \
        "$work/bundle/config.json" > "$work/limited/config.json"
    timeout 20 ${oci[$2]} run --bundle "$work/limited" "berth-bench-limit" > /dev/null 2>&1
}

# smallest RUNTIME: the least limit in KiB, to 64 KiB, with which three starts in a row succeed.
smallest() {
    local low=0 high=1024 middle
    while [ $((high - low)) -gt 1 ]; do
        middle=$(((low + high) / 2))
        if starts_with $((middle * 64)) "$1" && starts_with $((middle * 64)) "$1" && starts_with $((middle * 64)) "$1"; then
            high=$middle
        else
            low=$middle
        fi
    done
    echo $((high * 64))
}

bench_memory() {
    local name
    say "memory of the runtimes, and the smallest limit that a container starts with"
    mkdir -p "$work/limited"
    declare -A largest=() least=()
    for name in berth-oci "${peers[@]}"; do
        largest[$name]=$(peak ${oci[$name]} run --bundle "$work/bundle" bench)
        least[$name]=$(smallest "$name")
        ${oci[$name]} delete --force berth-bench-limit > /dev/null 2>&1 || true
    done
    for name in "${peers[@]}"; do
        row "peak memory of a run, largest process" "$(mebibytes "${largest[berth-oci]}")" "$name" "$(mebibytes "${largest[$name]}")" MiB
    done
    for name in "${peers[@]}"; do
        row "smallest memory limit of /bin/true" "$(mebibytes "${least[berth-oci]}")" "$name" "$(mebibytes "${least[$name]}")" MiB
    done
}

mebibytes() { awk -v kib="$1" 'BEGIN { printf "%.3f", kib / 1024 }'; }
