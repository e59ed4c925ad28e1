# Functions of the scripts in hack/: sourced, never run.

say() { printf '%s\n' "==> $*"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

need_root() { [ "$(id -u)" = 0 ] || die "must run as root: sudo $0"; }

# install_packages NAME...: installs those Debian packages that are missing, and says which.
install_packages() {
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    need_root
    say "installing Debian packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # No services are started: containerd and docker-registry are here for their programs.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod +x "$policy"
        made=1
    fi
    local status=0
    apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null || status=$?
    [ -z "$made" ] || rm -f "$policy"
    [ "$status" = 0 ] || die "apt-get could not install: ${missing[*]}"
}

swift_release=6.3.1
# The fingerprints of the project's release keys; the archive's signature has to be by one of them.
swift_keys="52BB7E3DE28A71BE22EC05FFEF80A866B47A981F E813C892820A6FA13755B268F167DF1ACF9CE069"

# Is there a `swift` on PATH that is 6.2 or newer?
swift_is_new_enough() {
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] || return 1
    [ "$(printf '%s\n6.2\n' "$version" | sort -V | head -n 1)" = 6.2 ]
}

# ensure_swift: puts a toolchain of at least Swift 6.2 on PATH, downloading the official one where there is none.
ensure_swift() {
    [ -z "${SWIFT_HOME:-}" ] || export PATH="$SWIFT_HOME/usr/bin:$PATH"
    if swift_is_new_enough; then return 0; fi
    local home
    for home in /opt/swift "/opt/swift-$swift_release"; do
        if [ -x "$home/usr/bin/swift" ]; then
            PATH="$home/usr/bin:$PATH"
            if swift_is_new_enough; then
                export PATH
                return 0
            fi
        fi
    done
    download_swift
}

download_swift() {
    need_root
    local arch suffix=""
    arch=$(dpkg --print-architecture)
    case "$arch" in
        amd64) ;;
        arm64) suffix=-aarch64 ;;
        *) die "no Swift toolchain for $arch; point SWIFT_HOME at one" ;;
    esac
    install_packages curl gpg ca-certificates
    local name="swift-$swift_release-RELEASE-debian12$suffix" home="/opt/swift-$swift_release" work
    local url="https://download.swift.org/swift-$swift_release-release/debian12$suffix/swift-$swift_release-RELEASE/$name.tar.gz"
    say "no Swift 6.2 or newer found (set SWIFT_HOME to use one of yours); downloading $name to $home"
    work=$(mktemp -d)
    export GNUPGHOME="$work/keys"
    mkdir -m 700 "$GNUPGHOME"
    curl -fL --retry 3 --progress-bar -o "$work/swift.tar.gz" "$url" \
        && curl -fsSL --retry 3 -o "$work/swift.tar.gz.sig" "$url.sig" \
        && curl -fsSL --retry 3 https://www.swift.org/keys/all-keys.asc | gpg --batch --quiet --import \
        || { rm -rf "$work"; die "could not download $url; point SWIFT_HOME at a toolchain of Swift 6.2 or newer"; }
    # gpg tells the signing key's fingerprint on its status lines; any key of the ring would satisfy its exit status.
    local signer
    signer=$(gpg --batch --status-fd 1 --verify "$work/swift.tar.gz.sig" "$work/swift.tar.gz" 2>/dev/null \
        | sed -n 's/^\[GNUPG:\] VALIDSIG .* \([0-9A-F]\{40\}\)$/\1/p')
    case " $swift_keys " in
        *" ${signer:-none} "*) ;;
        *) rm -rf "$work"; die "the signature of $name.tar.gz is not by a Swift release key; nothing was installed" ;;
    esac
    mkdir "$work/root"
    tar -xzf "$work/swift.tar.gz" -C "$work/root" --strip-components=1
    rm -rf "$home"
    mv "$work/root" "$home"
    rm -rf "$work"
    unset GNUPGHOME
    export PATH="$home/usr/bin:$PATH"
    swift_is_new_enough || die "$home/usr/bin/swift does not run"
}

# end_cgroups NAME: kills what runs in the cgroups of that name at the top of each hierarchy, and removes them.
end_cgroups() {
    local top tries
    for top in /sys/fs/cgroup/$1 /sys/fs/cgroup/*/$1; do
        [ -d "$top" ] || continue
        find "$top" -name cgroup.procs -exec cat {} + | sort -u | xargs -r kill -9 2> /dev/null || true
        for tries in $(seq 50); do
            find "$top" -depth -type d -exec rmdir {} + 2> /dev/null || true
            [ -d "$top" ] || break
            sleep 0.1
        done
    done
}
