# Kamailio: this repository's kamailio/ files, with a site.cfg for this lab's addresses.

# kamailio VERSION [OPTION...]: starts Kamailio (6.1 or 5.6) and returns when it answers. An option is NAME=VALUE for a
# setting of site.cfg, WITH_X to switch a part on, or NODES=N,N,... for nodes that the dispatcher's list begins with.
kamailio() {
    local version=$1 from path dir=$RUN/kamailio option value n
    shift
    case $version in
    6.1) from=forky ;;
    5.6) from=bookworm ;;
    *) die "Kamailio is 6.1 or 5.6 here, found \"$version\"" ;;
    esac
    path=$(lab_root "$from")
    echo "$path" >"$RUN/kamailio.root"
    rm -rf "$dir"
    cp -r "$REPO/kamailio" "$dir"
    mkdir -p "$dir/run"
    site SITE_EDGE_ADDR "127.$B.0.5"
    site SITE_EDGE_PUBLIC "127.$B.0.5"
    site SITE_CORE_ADDR "127.$B.0.6"
    site SITE_NODES_NET "127.$B.1.0/24"
    site SITE_KAMARI_URL "http://127.$B.0.2:8070"
    site SITE_RPC_NET "127.0.0.0/8"
    site SITE_DISPATCHER_LIST /lab/kamailio/dispatcher.list
    site SITE_STORE /lab/kamailio/store.sqlite
    site SITE_RUN_DIR /lab/kamailio/run
    # One client address places more calls than any phone would.
    site SITE_TRUSTED_NET "127.$B.2.0/24"
    for option in "$@"; do
        case $option in
        NODES=*) for n in $(tr , ' ' <<<"${option#*=}"); do echo "1 sip:$(node_address "$n"):5060 0" >>"$dir/dispatcher.list"; done ;;
        # $B in a value stands for this lab's second octet.
        *=*) value=${option#*=} && site "${option%%=*}" "${value//\$B/$B}" ;;
        *) site "$option" '' ;;
        esac
    done
    kamailio_start
}

# Gives a name in the lab's site.cfg its value, or switches a WITH_ name on.
site() {
    local name=$1 value=$2 file=$RUN/kamailio/site.cfg line
    if grep -qE "^##?!substdef \"!$name!" "$file"; then
        line="#!substdef \"!$name!$value!g\""
        sed -i -E "s@^##?!substdef \"!$name!.*@$line@" "$file"
    elif grep -qE "^##?!define $name( |\$)" "$file"; then
        sed -i -E "s@^##?!define $name( .*)?\$@#!define $name${value:+ $value}@" "$file"
    else
        die "site.cfg has no setting $name"
    fi
}

# Starts the Kamailio whose files are in place (again after `lab end kamailio`).
kamailio_start() {
    local path domain
    path=$(<"$RUN/kamailio.root")
    for domain in example.test other.test; do
        in_lab chroot "$path" /lab/kamailio/add-user --domain "$domain"
    done
    # fm: the fast memory manager, as docs/guide-kamailio.md has it; Debian's default is the one for debugging.
    spawn kamailio chroot "$path" kamailio -f /lab/kamailio/kamailio.cfg -DD -E -Y /lab/kamailio/run -m 128 -M 16 -x fm -X fm
    until_ready kamailio kamailio_is_up
}

kamailio_is_up() { rpc core.uptime >/dev/null 2>&1; }

# Asks Kamailio's JSON-RPC: rpc METHOD [JSON parameter...]. Prints the answer; fails when that is an error.
rpc() {
    local method=$1 parameters answer
    shift
    parameters=$(IFS=,; echo "$*")
    answer=$(curl --silent --show-error --max-time 10 --data "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$method\",\"params\":[$parameters]}" \
        "http://127.$B.0.6:8090/RPC")
    echo "$answer"
    [[ $answer == *'"result"'* ]]
}

# add-user USER@DOMAIN PASSWORD: a user who can register and call.
add_user() {
    in_lab chroot "$(<"$RUN/kamailio.root")" /lab/kamailio/add-user "$1" <<<"$2"
}
