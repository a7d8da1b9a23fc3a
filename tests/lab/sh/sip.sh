# SIP clients: SIPp with the scenarios beside this file, and Kamailio's user store.

# sipp NAME SCENARIO TARGET [sipp options]: begins SIPp in the run directory's NAME/ and returns. SIPp leaves there
# messages.csv (one line per SIP message), answers.log (who answered), errors.log and screen.log.
# and, at its end, its code in `exit`: 0 all calls went as the scenario says, 1 some did not, else it could not run.
sipp() {
    local name=$1 scenario=$2 target=$3 path
    shift 3
    path=$(lab_root forky)
    mkdir -p "$RUN/$name"
    # shellcheck disable=SC2016
    spawn "$name" chroot "$path" bash -c 'cd "$1"; shift; sipp "$@" >screen.log 2>stderr.log; echo $? >exit.tmp; mv exit.tmp exit' \
        sipp "/lab/$name" "$target" -sf "/src/tests/lab/scenarios/$scenario.xml" -nostdin \
        -trace_shortmsg -shortmessage_file messages.csv -trace_logs -log_file answers.log \
        -trace_err -error_file errors.log "$@"
}

# load NAME SCENARIO TARGET [sipp options]: the same for many calls a second: SIPp leaves its counts, ten lines a second, in
# NAME/counts.csv, the set-up times in NAME/*_rtt.csv, and no trace of single messages.
load() {
    local name=$1 scenario=$2 target=$3 path
    shift 3
    path=$(lab_root forky)
    rm -rf "${RUN:?}/$name"
    mkdir -p "$RUN/$name"
    # shellcheck disable=SC2016
    spawn "$name" chroot "$path" bash -c 'cd "$1"; shift; sipp "$@" >screen.log 2>stderr.log; echo $? >exit.tmp; mv exit.tmp exit' \
        sipp "/lab/$name" "$target" -sf "/src/tests/lab/scenarios/$scenario.xml" -nostdin -trace_stat -stf counts.csv -fd 100ms \
        -trace_rtt -rtt_freq 1 "$@"
}
