# Asterisk nodes: this repository's asterisk/ files, one address, one directory below the run directory each.

node_address() { echo "127.$B.1.$1"; }

# Starts node N from a root (forky: Asterisk 22; bullseye: Asterisk 16) and returns when ARI and SIP answer.
node() {
    local n=$1 from=${2:-forky} path
    [[ $n =~ ^[0-9]+$ ]] && ((n >= 1 && n <= 254)) || die "a node is a number from 1 to 254, found \"$n\""
    path=$(lab_root "$from")
    echo "$path" >"$RUN/node$n.root"
    in_lab chroot "$path" /src/asterisk/make-node --name "node$n" --etc "/lab/node$n/etc" --state "/lab/node$n" \
        --address "$(node_address "$n")" --kamailio "127.$B.0.6:5060" --password-file /lab/ari-password --owner root:root
    node_start "$n"
}

# Starts the Asterisk of a node that was made before (again after `lab end`).
node_start() {
    local n=$1 path
    path=$(<"$RUN/node$n.root")
    spawn "node$n" chroot "$path" asterisk -C "/lab/node$n/etc/asterisk.conf" -f
    until_ready "node$n" node_is_up "$n"
}

node_is_up() {
    [[ $(cli "$1" 'core waitfullybooted' 2>/dev/null) == *'fully booted'* ]] &&
        ari "$1" GET /asterisk/ping >/dev/null 2>&1
}

# Runs a command on node N's console.
cli() {
    local n=$1
    shift
    in_lab chroot "$(<"$RUN/node$n.root")" asterisk -C "/lab/node$n/etc/asterisk.conf" -rx "$*"
}

# Asks node N's ARI: ari N METHOD PATH [curl options]. Prints the body; fails on an error status.
ari() {
    local n=$1 method=$2 path=$3
    shift 3
    curl --silent --show-error --fail --max-time 10 --user "kamari:$(<"$RUN/ari-password")" --request "$method" \
        "http://$(node_address "$n"):8088/ari$path" "$@"
}

# Waits until no running node holds a channel or a bridge; fails with what is left.
assert_empty() {
    local file n
    for file in "$RUN"/pids/node*; do
        [[ -e $file ]] || continue
        n=${file##*/node}
        ! alive "node$n" || until_empty "$n"
    done
}

until_empty() {
    local n=$1 began=$SECONDS left
    while left=$(held "$n") || die "node$n does not say what it holds"; [[ -n $left ]]; do
        ((SECONDS - began < 10)) || die "node$n still holds this after 10 s:"$'\n'"$left"
        sleep 0.05
    done
}

# The channels and bridges of node N, one a line; without the two channels by which kamari reads its load.
held() {
    local channels bridges
    channels=$(ari "$1" GET /channels) && bridges=$(ari "$1" GET /bridges) || return 1
    sed 's/},{"id"/}\n{"id"/g' <<<"$channels"$'\n'"$bridges" | grep -v -e '^\[*{"id":"kamari-probe-' -e '^\[\]$' || true
}
