# Roots: directories with a Debian release and the servers of one recipe (roots/NAME), made by debootstrap and apt alone.
#
# A root lies in the cache as NAME-HASH, HASH being that of its recipe and of this file, so a changed recipe is another
# root. It is built beside its place under a lock and renamed into it: a root that exists is whole. Nobody writes to a
# root after that; labs mount it read-only. Roots not used for a week are removed when another is built.

readonly CACHE=${KAMARI_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kamari-lab}

# Installs what the lab itself needs on this machine; asks apt only when something is missing.
host_needs() {
    local -A package_of=(
        [debootstrap]=debootstrap [unshare]=util-linux [nsenter]=util-linux [flock]=util-linux [setsid]=util-linux
        [curl]=curl
    )
    local tool missing=()
    for tool in "${!package_of[@]}"; do
        command -v "$tool" >/dev/null || missing+=("${package_of[$tool]}")
    done
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]} on this machine"
    {
        flock 8
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
    } 8>"$CACHE/.host.lock" >&2
}

# The mirror that this machine's own apt uses for Debian's main archive.
mirror() {
    if [[ -n ${KAMARI_LAB_MIRROR:-} ]]; then
        echo "$KAMARI_LAB_MIRROR"
        return
    fi
    local site
    site=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Identifier: Packages' 'Component: main' |
        awk '$2 !~ /security/ && $1 ~ /debian/ { print $1; exit }')
    [[ -n $site ]] || die "apt on this machine names no Debian mirror; set KAMARI_LAB_MIRROR to one"
    echo "$site"
}

# Settings of this machine's apt without which its mirror may be out of reach, as apt command-line options.
apt_options() {
    local key value
    for key in Acquire::http::Proxy Acquire::https::Proxy Acquire::Check-Valid-Until Acquire::Check-Date; do
        value=
        eval "$(apt-config shell value "$key")"
        [[ -z $value ]] || printf '%s\n' -o "$key=$value"
    done
}

# Prints the path of the root NAME, after building it if it is missing.
root() {
    local name=$1 recipe=$LAB_DIR/roots/$1 hash path
    [[ -f $recipe ]] || die "no recipe $recipe; there are: $(cd "$LAB_DIR/roots" && echo *)"
    hash=$(cat "$recipe" "$LAB_DIR/sh/root.sh" | sha256sum | cut -c1-12)
    path=$CACHE/$name-$hash
    mkdir -p "$CACHE"
    host_needs
    if [[ ! -d $path ]]; then
        (
            flock 8
            [[ -d $path ]] || build_root "$name" "$path"
        ) 8>"$CACHE/.$name.lock" || die "the root $name was not built; its log is $CACHE/$name.log"
    fi
    touch "$path"
    echo "$path"
}

# All roots, those that are missing built at the same time.
roots() {
    local name building=() failed=0
    for name in forky bookworm bullseye; do
        root "$name" &
        building+=("$!")
    done
    for name in "${building[@]}"; do
        wait "$name" || failed=1
    done
    return "$failed"
}

# Builds the recipe NAME into PATH. In a mount namespace of its own, so that a build that dies leaves no mount behind.
build_root() {
    local name=$1 path=$2 building=$CACHE/.building-$1
    find "$CACHE" -maxdepth 1 -name '*-*' -type d -mtime +7 -exec rm -rf {} +
    rm -rf "$building"
    say "building the root $name in $path (once; half a minute to two minutes)"
    if ! unshare --mount bash "$LAB" build-root-here "$name" "$building" >"$CACHE/$name.log" 2>&1 8>&-; then
        tail -n 15 "$CACHE/$name.log" >&2
        return 1
    fi
    mv "$building" "$path"
}

build_root_here() {
    local recipe=$LAB_DIR/roots/$1 dir=$2 suite fallback='' packages=() at options file script=()
    # shellcheck source=/dev/null
    source "$recipe"
    at=$(mirror)
    mapfile -t options < <(apt_options)
    eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
    [[ -z ${http_proxy:-} ]] || export http_proxy

    # debootstrap knows the releases of its own time; newer ones are made as sid is.
    [[ -e /usr/share/debootstrap/scripts/$suite ]] || script=(/usr/share/debootstrap/scripts/sid)
    debootstrap --variant=minbase "$suite" "$dir" "$at" "${script[@]}"

    echo "deb $at $suite main" >"$dir/etc/apt/sources.list"
    mkdir -p "$dir/lab" "$dir/src" "$dir/proc" "$dir/etc/dpkg/dpkg.cfg.d"
    printf 'path-exclude=%s\n' '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' '/usr/share/info/*' \
        >"$dir/etc/dpkg/dpkg.cfg.d/lean"
    # No daemon is started by its package's installation.
    printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
    chmod +x "$dir/usr/sbin/policy-rc.d"
    # This machine's way of finding the mirror (or a proxy) by name, for the time of the build.
    for file in /etc/resolv.conf /etc/hosts; do
        [[ ! -e $file ]] || cp --dereference "$file" "$dir$file"
    done
    mount -t proc proc "$dir/proc"

    in_root() { env DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$dir" "$@"; }
    in_root apt-get "${options[@]}" update
    if [[ -n $fallback ]] && ! in_root apt-get install --simulate -qq "${packages[@]}" >/dev/null; then
        echo "deb $at $fallback main" >>"$dir/etc/apt/sources.list"
        printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' "$fallback" >"$dir/etc/apt/preferences.d/fallback"
        in_root apt-get "${options[@]}" update
    fi
    in_root apt-get "${options[@]}" install -y --no-install-recommends "${packages[@]}"

    umount "$dir/proc"
    # In a lab no name is ever asked of a name server, and the machine is called `lab`: Asterisk looks up its own name
    # for every call, and a query that goes unanswered costs seconds.
    : >"$dir/etc/resolv.conf"
    printf '127.0.0.1 localhost lab\n' >"$dir/etc/hosts"
    echo lab >"$dir/etc/hostname"
    rm -rf "$dir"/var/lib/apt/lists/* "$dir"/var/cache/apt/*.bin "$dir"/var/cache/apt/archives/*.deb \
        "$dir"/usr/share/{doc,man,locale,info}/*
}
