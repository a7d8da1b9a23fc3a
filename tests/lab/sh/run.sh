# A running lab: one keeper, which holds a slot, a run directory and the namespaces in which all else runs.
#
# The keeper's child is process 1 of the lab's PID namespace and lives as long as the keeper's standard input is open.
# When that closes (the owner closed it, panicked, was killed with any signal) process 1 ends, the kernel kills every
# process of the lab, and the keeper removes the run directory and lets go of the slot. Mounts live in the lab's mount
# namespace and end with it. So nothing is left behind whoever dies first; if the keeper itself is killed, the run
# directory is cleared when its slot is taken next.

readonly RUNTIME=/tmp/kamari-lab
# Where the run directory of this checkout's `lab up` is written down.
SHELL_LAB=$RUNTIME/.shell-$(sha256sum <<<"$REPO" | cut -c1-12)
readonly SHELL_LAB
readonly SLOTS=100

# Takes the first free slot, prints `slot RUN_DIRECTORY` once the lab can be used, and lives until stdin closes.
keep() {
    local slot run holder
    # Ctrl-C in a terminal goes to everyone; what ends a keeper is the end of its owner alone.
    trap '' INT TERM HUP
    mkdir -p "$RUNTIME"
    for ((slot = 0; slot < SLOTS; slot++)); do
        exec 9>"$RUNTIME/.$slot.lock"
        flock --nonblock 9 && break
        exec 9>&-
    done
    ((slot < SLOTS)) || die "all $SLOTS slots are taken"
    run=$RUNTIME/$slot
    rm -rf "$run"
    no_limits "$slot" || true # of a lab whose keeper was killed
    mkdir -p "$run/logs" "$run/pids"
    # A test that is not root's own puts its files there too.
    chown "${SUDO_UID:-0}" "$run"
    echo "$slot" >"$run/slot"
    head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$run/ari-password"
    mkfifo "$run/ready"
    # bash, not cat, is process 1: it also reaps what the lab's processes leave.
    unshare --mount --pid --uts --fork --kill-child --mount-proc \
        bash -c 'hostname lab; echo >"$1/ready"; cat >/dev/null; exit 0' keeper "$run" <&0 &
    holder=$!
    read -r <"$run/ready"
    rm "$run/ready"
    echo "$holder" >"$run/holder"
    echo "$slot $run"
    wait "$holder" 2>/dev/null || true
    # The kernel may still be ending the last processes in there.
    until_true 20 "the lab's CPU limits to be let go" no_limits "$slot"
    rm -rf "$run"
}

# RUN: the run directory of the lab that this command is about; B: the second byte of its addresses.
use_lab() {
    RUN=${KAMARI_LAB:-}
    if [[ -z $RUN ]]; then
        [[ -r $SHELL_LAB ]] || die "no lab is up; begin with: lab up"
        RUN=$(<"$SHELL_LAB")
    fi
    [[ -r $RUN/holder ]] || die "the lab in $RUN is gone"
    HOLDER=$(<"$RUN/holder")
    B=$((100 + $(<"$RUN/slot")))
}

# Runs a command in the lab's namespaces.
in_lab() {
    nsenter --mount="/proc/$HOLDER/ns/mnt" --uts="/proc/$HOLDER/ns/uts" --pid="/proc/$HOLDER/ns/pid_for_children" -- "$@"
}

# Prints the path of a root that is mounted for this lab: read-only, with the run directory as /lab and the repository
# as /src.
lab_root() {
    local path
    path=$(root "$1")
    in_lab flock "$RUN/.mount" bash "$LAB" mount-root "$path" "$RUN"
    echo "$path"
}

mount_root() {
    local path=$1 run=$2
    ! mountpoint -q "$path/lab" || return 0
    mount --bind "$path" "$path"
    mount -o remount,bind,ro "$path"
    mount --rbind /dev "$path/dev"
    mount -t proc proc "$path/proc"
    mount --rbind /sys "$path/sys" # a node reads the CPU quota of its cgroup there
    mount -t tmpfs tmpfs "$path/run"
    mount -t tmpfs tmpfs "$path/tmp"
    mount --bind "$REPO" "$path/src"
    mount -o remount,bind,ro "$path/src"
    mount --bind "$run" "$path/lab"
}

# Starts COMMAND in the background as NAME: its output in logs/NAME.log, its process (and group) id in pids/NAME.
spawn() {
    local name=$1
    shift
    ! alive "$name" || die "$name is already running"
    # The group's number is told by its leader itself: before `setsid` has run there is no such group, and a busy machine
    # takes its time. The substitution ends when the leader's output goes to its log.
    local leader
    # shellcheck disable=SC2016
    leader=$(in_lab bash -c 'ulimit -n "$(ulimit -Hn)"; setsid bash -c "$@" </dev/null 2>/dev/null &' \
        spawn 'log=$1; shift; echo $$; exec "$@" >>"$log" 2>&1' spawn "$RUN/logs/$name.log" "$@")
    echo "$leader" >"$RUN/pids/$name"
}

# Sends SIGNAL to the whole process group of NAME.
signal() {
    local name=$1 signal=$2
    [[ -r $RUN/pids/$name ]] || die "$name was not started in this lab"
    kill_group "$signal" "$(<"$RUN/pids/$name")"
}

# Prints the CPU time, in nanoseconds, that the running processes of NAME's group have used.
cpu() {
    # shellcheck disable=SC2016
    in_lab bash -c '
        for stat in /proc/[0-9]*/stat; do
            line=$(<"$stat") || continue
            read -r _ _ group _ <<<"${line##*) }"
            [[ $group != "$1" ]] || cat "${stat%stat}"task/*/schedstat
        done 2>/dev/null' cpu "$(<"$RUN/pids/$1")" | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

alive() {
    [[ -r $RUN/pids/$1 ]] && kill_group 0 "$(<"$RUN/pids/$1")" 2>/dev/null
}

# bash's own kill: the program's understanding of `--` before a group differs between releases.
kill_group() { in_lab bash -c 'kill -s "$1" -- "-$2"' kill "$@"; }

# Ends NAME with SIGNAL and returns when all its processes are gone.
end() {
    local name=$1
    ! alive "$name" || signal "$name" "$2"
    until_true 20 "$name to end" not alive "$name"
    rm -f "$RUN/pids/$name"
}

# limit NAME HUNDREDTHS: all processes of NAME together get at most so many hundredths of one processor from now on, by
# pieces of 20 ms: in the kernel's usual 100 ms a small share would be one burst and a long pause.
limit() {
    local name=$1 hundredths=$2 group
    group=$(limits)/kamari-lab-$(<"$RUN/slot")-$name
    [[ $hundredths =~ ^[0-9]+$ ]] && ((hundredths >= 5)) || die "a limit is 5 or more hundredths of a processor, found \"$hundredths\""
    alive "$name" || die "$name is not running"
    mkdir -p "$group" 2>/dev/null || die "cannot limit CPU here: $group cannot be made"
    if [[ -e $group/cpu.cfs_quota_us ]]; then
        echo 20000 >"$group/cpu.cfs_period_us"
        echo "$((hundredths * 200))" >"$group/cpu.cfs_quota_us"
    else
        [[ -e $group/cpu.max ]] || echo +cpu >"${group%/*}/cgroup.subtree_control"
        echo "$((hundredths * 200)) 20000" >"$group/cpu.max"
    fi
    # The leader's number is one of the lab's namespace, in which it is therefore written down. Its children are in its group.
    # shellcheck disable=SC2016
    in_lab bash -c 'for pid in $(ps -o pid= -g "$1"); do echo "$pid" >"$2/cgroup.procs"; done' limit "$(<"$RUN/pids/$name")" "$group"
}

# Removes the limits of a lab that has ended. Succeeds when none is left.
no_limits() {
    local group
    for group in "$(limits)"/kamari-lab-"$1"-*; do
        [[ ! -d $group ]] || rmdir "$group" 2>/dev/null || return 1
    done
}

# Where cgroups that limit CPU are made: version 1's hierarchy for CPU where there is one, else the one of version 2.
limits() {
    if [[ -e /sys/fs/cgroup/cpu/cpu.cfs_quota_us || -e /sys/fs/cgroup/cpu/cpu.shares ]]; then
        echo /sys/fs/cgroup/cpu
    else
        echo /sys/fs/cgroup
    fi
}

not() { ! "$@"; }

# Waits until a command succeeds: until_true SECONDS WHAT COMMAND...; fails after SECONDS, saying what was awaited.
until_true() {
    local limit=$1 what=$2 began=$SECONDS
    shift 2
    until "$@"; do
        ((SECONDS - began < limit)) || die "waited $limit s for $what"
        sleep 0.05
    done
}

# Waits for NAME to be ready, as until_true does, and fails at once, with the end of its log, when it has died.
until_ready() {
    local name=$1
    shift
    ready_or_dead() {
        "$@" && return 0
        alive "$name" && return 1
        say "$name ended before it was ready; its log:"
        tail -n 20 "$RUN/logs/$name.log" >&2
        exit 1
    }
    until_true 60 "$name to be ready" ready_or_dead "$@"
}

# A lab for the shell: a keeper whose input stays open until `lab down`.
up() {
    local line input
    if [[ -r $SHELL_LAB && -d /proc/$(cat "$(<"$SHELL_LAB")/holder" 2>/dev/null || echo gone) ]]; then
        die "a lab is already up in $(<"$SHELL_LAB"); end it with: lab down"
    fi
    mkdir -p "$RUNTIME"
    # The keeper outlives this command. Its input is a fifo that it holds open for writing too, so that no other process
    # has to stay for it; and it lets go of our standard error, or a pipe behind `up` would never end.
    input=$(mktemp --dry-run "$RUNTIME/input.XXXXXX")
    mkfifo "$input"
    coproc KEEPER {
        exec 2>"$RUNTIME/up.log" <>"$input"
        rm "$input"
        exec setsid bash "$LAB" keep
    }
    read -r line <&"${KEEPER[0]}" || die "the lab did not start: $(<"$RUNTIME/up.log")"
    disown -a
    echo "${line#* }" >"$SHELL_LAB"
    say "up: run directory ${line#* }, addresses 127.$((100 + ${line% *})).x.x"
}

# Ends the shell's lab and waits until nothing of it is left.
down() {
    [[ -r $SHELL_LAB ]] || return 0
    RUN=$(<"$SHELL_LAB")
    [[ ! -r $RUN/holder ]] || kill -KILL "$(<"$RUN/holder")" 2>/dev/null || true
    until_true 20 "the lab to end" test ! -e "$RUN"
    rm -f "$SHELL_LAB"
}

# Copies the logs and configurations of the lab to target/lab-logs/NAME-TIME and prints that place.
keep_logs() {
    local place
    place=$REPO/target/lab-logs/$1-$(date +%Y%m%dT%H%M%S)
    mkdir -p "$place"
    (
        cd "$RUN"
        # Sockets, fifos and databases have no place among logs.
        find . -type f ! -path '*/db/*' ! -path '*/spool/*' ! -path '*/cache/*' ! -name ari-password -print0 |
            tar --create --null --files-from=- | tar --extract --directory="$place"
    )
    chown -R "${SUDO_UID:-0}" "$REPO/target/lab-logs"
    echo "$place"
}
