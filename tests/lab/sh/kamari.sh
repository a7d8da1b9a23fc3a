# kamari itself, at the lab's addresses.

# kamari BINARY CONFIG: starts `BINARY serve` with the configuration file CONFIG and returns when it is ready.
kamari() {
    local binary=$1 config=$2
    [[ -x $binary ]] || die "no program $binary; cargo build makes it"
    mkdir -p "$RUN/kamari"
    [[ $config -ef $RUN/kamari/kamari.toml ]] || cp "$config" "$RUN/kamari/kamari.toml"
    cp -f "$binary" "$RUN/kamari/kamari" # a rebuild during the run must not change it
    kamari_start
}

# Starts the kamari whose files are in place (again after `lab end kamari`). Its listeners are the lab's, and its state
# file lies in the run directory, unless the configuration says otherwise.
kamari_start() {
    kamari_spawn
    until_ready kamari kamari_is_ready
}

kamari_spawn() {
    local -a settings=(
        KAMARI_LOOKUP__LISTEN="127.$B.0.2:8070" KAMARI_API__LISTEN="127.$B.0.2:8071"
        KAMARI_MEDIA__LISTEN="127.$B.0.2:8072" KAMARI_POOL__STATE_FILE="$RUN/kamari/state.json"
    )
    spawn kamari env --chdir="$RUN/kamari" "${settings[@]}" "$RUN/kamari/kamari" serve --config "$RUN/kamari/kamari.toml"
}

kamari_is_ready() { curl --silent --fail --max-time 5 "http://127.$B.0.2:8071/readyz" >/dev/null; }
