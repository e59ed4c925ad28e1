# Pulls from a registry on this machine, beside containerd and podman: sourced by hack/bench.

# make_image DIRECTORY: an OCI layout with two images made of this machine's /usr: "layers" of 8 layers, usually tens of thousands of files,
# and "single" of all that in one layer.
make_image() {
    local layout=$1 number
    mkdir -p "$layout/blobs/sha256" "$work/layers"
    # The same machine gives the same image: names in byte order, 1.2 GiB at most in 8 parts of equal size; a few huge libraries
    # would make it an image of few files.
    LC_ALL=C find /usr -xdev \( -type f -o -type l -o -type d \) -printf '%s %p\n' | LC_ALL=C sort -k 2 \
        | awk -v limit="$((1200 << 20))" -v folder="$work/layers" '
            { name = substr($0, length($1) + 2); size = ($1 < 4096 ? 4096 : $1) }
            name ~ /\n/ || size > 32 * 1024 * 1024 { next }
            { if (sum + size > limit) next; sum += size; print name > (folder "/" int(sum * 8 / (limit + 1))) }'
    for number in 0 1 2 3 4 5 6 7; do add_layer "$layout" layers "$work/layers/$number"; done
    add_layer "$layout" single "$work"/layers/?
    entries=$(cat "$work"/layers/* | wc -l)
    for number in layers single; do finish_image "$layout" "$number"; done
    jq -n '{imageLayoutVersion: "1.0.0"}' > "$layout/oci-layout"
    jq -s '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: .}' \
        "$work/layers.entry" "$work/single.entry" > "$layout/index.json"
}

# add_layer LAYOUT IMAGE LIST...: the files of the lists become a gzip layer.
add_layer() {
    local layout=$1 image=$2 tar=$work/layer.tar digest
    shift 2
    # A file that changes meanwhile is no reason to fail.
    cat "$@" | tar --no-recursion -C / -cf "$tar" -T - 2> /dev/null || true
    echo "\"sha256:$(sha256sum "$tar" | cut -d ' ' -f 1)\"" >> "$work/$image.diffs"
    gzip -6 -n -c "$tar" > "$work/layer"
    digest=$(sha256sum "$work/layer" | cut -d ' ' -f 1)
    jq -n --arg d "sha256:$digest" --argjson s "$(stat -c %s "$work/layer")" \
        '{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $d, size: $s}' >> "$work/$image.layers"
    mv "$work/layer" "$layout/blobs/sha256/$digest"
    rm "$tar"
}

# blob LAYOUT: standard input becomes a blob; says "sha256:HEX SIZE".
blob() {
    local digest
    cat > "$work/blob"
    digest=$(sha256sum "$work/blob" | cut -d ' ' -f 1)
    echo "sha256:$digest $(stat -c %s "$work/blob")"
    mv "$work/blob" "$1/blobs/sha256/$digest"
}

finish_image() {
    local digest size
    read -r digest size < <(jq -s '{architecture: env.ARCH, os: "linux", config: {}, rootfs: {type: "layers", diff_ids: .}}' \
        "$work/$2.diffs" | blob "$1")
    read -r digest size < <(jq -s --arg d "$digest" --argjson s "$size" '{schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $d, size: $s}, layers: .}' \
        "$work/$2.layers" | blob "$1")
    jq -n --arg d "$digest" --argjson s "$size" --arg n "$2" '{mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest: $d, size: $s, annotations: {"org.opencontainers.image.ref.name": $n}}' > "$work/$2.entry"
}

# median FILE FIELD: of lines "WALL CPU PEAK".
median() { sort -n -k "$2,$2" "$1" | awk -v field="$2" '{ v[NR] = $field } END { print v[int((NR + 1) / 2)] }'; }

cold() {
    sync
    echo 3 > /proc/sys/vm/drop_caches 2> /dev/null || warm=1
}

# limits IMAGE: what a pull cannot do without. Seconds for the decompression and the hash of its layers, as many at a time as there
# are processors, and for a write of as many bytes as they hold, to the disk.
limits() {
    local digest blobs=() bytes begin
    while read -r digest; do
        blobs+=("$work/registry/docker/registry/v2/blobs/sha256/${digest:7:2}/${digest:7}/data")
    done < <(jq -r .digest "$work/$1.layers")
    bytes=$(for digest in "${blobs[@]}"; do igzip -dc "$digest"; done | wc -c)
    cold
    begin=$EPOCHREALTIME
    printf '%s\0' "${blobs[@]}" | xargs -0 -P "$(nproc)" -n 1 sh -c 'igzip -dc "$0" | sha256sum' > /dev/null
    seconds_since "$begin"
    begin=$EPOCHREALTIME
    head -c "$bytes" /dev/zero > "$work/written"
    sync "$work/written"
    seconds_since "$begin"
    rm "$work/written"
}

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", b - a }'; }

bench_images() {
    local layout=$work/layout image tool run socket
    ARCH=$(dpkg --print-architecture)
    export ARCH
    say "making two images out of /usr"
    make_image "$layout"
    printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s"}\n' \
        "$work/registry" "$registry" > "$work/registry.yml"
    docker-registry serve "$work/registry.yml" > "$work/registry.log" 2>&1 &
    daemons+=($!)
    until curl -sf "http://$registry/v2/" > /dev/null; do sleep 0.1; done
    for image in layers single; do
        skopeo copy -q --dest-tls-verify=false "oci:$layout:$image" "docker://$registry/bench:$image"
    done
    rm -rf "$layout" "$work/layers"

    local warm='' kind least
    # What a configuration that says nothing gets.
    kind=$(automatic_snapshotter)
    for image in layers single; do
        for run in $(seq "$pulls"); do
            for tool in overlayfs erofs containerd podman; do
                say "pull of \"$image\" by $tool, $run of $pulls"
                "pull_$tool" "$registry/bench:$image" > "$work/line"
                cat "$work/line" >> "$work/$image.$tool"
                cat "$work/line"
            done
        done
        remove_old
        local what="pull, 8 layers, $entries entries"
        [ "$image" = layers ] || what="pull, the same in 1 layer"
        local peer version
        for peer in containerd podman; do
            version=$("$peer" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)
            pull_rows "$what" "$kind" "$peer" "$peer $version"
        done
        mapfile -t least < <(limits "$image")
        row "$what" "$(median "$work/$image.$kind" 1)" "its decompression and hash alone" "${least[0]}" s
        row "$what" "$(median "$work/$image.$kind" 1)" "a write of its bytes alone" "${least[1]}" s
        pull_rows "$what, overlayfs" overlayfs erofs "berth with erofs"
        row "$what, overlayfs, disk used" "$(median "$work/$image.overlayfs" 4)" "berth with erofs" "$(median "$work/$image.erofs" 4)" MiB
        row "first container, cold, overlayfs" "$(median "$work/$image.overlayfs" 5)" "berth with erofs" "$(median "$work/$image.erofs" 5)" s
        row "another container, overlayfs" "$(median "$work/$image.overlayfs" 6)" "berth with erofs" "$(median "$work/$image.erofs" 6)" s
        row "all files read, cold, overlayfs" "$(median "$work/$image.overlayfs" 7)" "berth with erofs" "$(median "$work/$image.erofs" 7)" s
        row "all files read again, overlayfs" "$(median "$work/$image.overlayfs" 8)" "berth with erofs" "$(median "$work/$image.erofs" 8)" s
    done
    notes+=("Of this machine \`images.snapshotter = \"auto\"\` makes $kind.")
    [ -z "$warm" ] || notes+=("The page cache could not be dropped: pulls read the registry's files from memory.")
    notes+=("Peak memory is that of daemon and client together, page cache not counted.")
}

# pull_rows WORK OURS THEIRS PEER: by the names of the tools.
pull_rows() {
    row "$1" "$(median "$work/$image.$2" 1)" "$4" "$(median "$work/$image.$3" 1)" s
    row "$1, CPU" "$(median "$work/$image.$2" 2)" "$4" "$(median "$work/$image.$3" 2)" s
    row "$1, peak memory" "$(median "$work/$image.$2" 3)" "$4" "$(median "$work/$image.$3" 3)" MiB
}

pull_overlayfs() { pull_berth overlayfs "$1"; }

pull_erofs() { pull_berth erofs "$1"; }

# start_berth SNAPSHOTTER: leaves the daemon's number in $berth.
start_berth() {
    mkdir -p "$work/pull-berth"
    printf '[images]\nsnapshotter = "%s"\n' "$1" > "$work/pull-berth.toml"
    "$bin/berthd" --config "$work/pull-berth.toml" --root "$work/pull-berth/root" --state "$work/pull-berth/state" \
        --address "$work/pull-berth.sock" > "$work/pull-berth.log" 2>&1 &
    berth=$!
    until grep -q "notice serving" "$work/pull-berth.log"; do sleep 0.1; done
}

automatic_snapshotter() {
    local berth
    start_berth auto
    grep -oE 'snapshotter=[a-z]+' "$work/pull-berth.log" | head -n 1 | cut -d = -f 2
    end_daemon "$berth" "$work/pull-berth"
}

# pull_berth SNAPSHOTTER IMAGE: says what measure.py does, then MiB on the disk, and seconds for a first container with a cold page
# cache, for another one, for reading all of the image's files with a cold page cache, and once more.
pull_berth() {
    local berth crictl=("$bin/berth-crictl" -r "unix://$work/pull-berth.sock" -i "unix://$work/pull-berth.sock") line
    start_berth "$1"
    cold
    line=$(python3 Benchmarks/measure.py "$berth" -- "${crictl[@]}" pull "$2")
    line+=" $(du -smx "$work/pull-berth/root/snapshots" | cut -f 1)"
    line+=" $(start_container "$2" first) $(start_container "$2" second)"
    cold
    line+=" $(read_image first) $(read_image first)"
    echo "$line"
    "${crictl[@]}" rmp -fa > /dev/null
    end_daemon "$berth" "$work/pull-berth"
}

# start_container IMAGE NAME: seconds until its process, a busybox of the image, runs; the first one with a cold page cache.
start_container() {
    jq -n --arg name "$2" '{metadata: {name: $name, uid: $name, namespace: "bench"},
        linux: {cgroup_parent: "/berth-bench-images", security_context: {namespace_options: {network: 2}}}}' > "$work/pod.json"
    jq -n --arg name "$2" --arg image "$1" '{metadata: {name: $name}, image: {image: $image}, command: ["/usr/bin/busybox", "sleep", "1000"]}' \
        > "$work/container.json"
    [ "$2" != first ] || cold
    seconds "${crictl[@]}" run --no-pull "$work/container.json" "$work/pod.json"
}

# read_image NAME: seconds for all files of the image, in container NAME.
read_image() {
    seconds "${crictl[@]}" exec -s --name "^$1\$" /usr/bin/busybox sh -c \
        '/usr/bin/busybox find /usr -xdev -type f -exec /usr/bin/busybox cat {} + | /usr/bin/busybox wc -c'
}

seconds() {
    local start=$EPOCHREALTIME
    "$@" > /dev/null || die "failed: $*"
    awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }'
}

pull_containerd() {
    mkdir -p "$work/pull-containerd"
    cat > "$work/pull-containerd.toml" <<TOML
version = 2
root = "$work/pull-containerd/root"
state = "$work/pull-containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$work/pull-containerd.sock"
TOML
    containerd --config "$work/pull-containerd.toml" > "$work/pull-containerd.log" 2>&1 &
    local pid=$! tries=100
    until ctr -a "$work/pull-containerd.sock" version > /dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || die "no answer of containerd: $(tail -n 3 "$work/pull-containerd.log")"
        sleep 0.1
    done
    cold
    python3 Benchmarks/measure.py "$pid" -- ctr -a "$work/pull-containerd.sock" images pull --plain-http "$1"
    end_daemon "$pid" "$work/pull-containerd"
}

pull_podman() {
    mkdir -p "$work/pull-podman"
    cold
    python3 Benchmarks/measure.py -- podman --root "$work/pull-podman/root" --runroot "$work/pull-podman/run" \
        --storage-driver overlay pull -q --tls-verify=false "$1"
    put_aside "$work/pull-podman"
}

# end_daemon PID DIRECTORY
end_daemon() {
    kill "$1"
    wait "$1" 2> /dev/null || true
    put_aside "$2"
}

# put_aside DIRECTORY: what a pull has made is removed later. On ext4 without a journal, which virtual machines often have, each new
# file has to pass over all inodes that were freed in the last minute: the next pull would pay for the last one.
put_aside() {
    grep -oE " $1[^ ]*" /proc/self/mountinfo | sort -ru | xargs -r umount -l 2> /dev/null || true
    mkdir -p "$work/old"
    mv "$1" "$(mktemp -d "$work/old/XXXXXX")"
}

# remove_old: a minute later their inodes count no longer.
remove_old() {
    rm -rf "$work/old"
    sync
    sleep 61
}
