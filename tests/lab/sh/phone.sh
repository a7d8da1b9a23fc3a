# Phones: baresip without a sound card. What a phone says is read from say.wav in its directory, what it hears is written
# to heard.wav there (8 kHz, 16 bit, mono). It is driven over its control port (ctrl_tcp: netstrings of JSON).

# phone NAME ADDRESS PORT PROXY USER DOMAIN PASSWORD ANSWER: starts it and returns when its control port answers.
# The control port is 4444 on 127.B.3.N for the N in NAME. ANSWER is auto or manual.
phone() {
    local name=$1 address=$2 port=$3 proxy=$4 user=$5 domain=$6 password=$7 answer=$8 path dir=$RUN/$1 control in_time=()
    path=$(lab_root forky)
    control=127.$B.3.${name##*[!0-9]}
    mkdir -p "$dir"
    touch "$dir/contacts"
    cat >"$dir/config" <<END
poll_method epoll
sip_listen $address:$port
net_interface $address
call_local_timeout 120
audio_source aufile,/lab/$name/say.wav
audio_player aufile,/lab/$name/heard.wav
audio_alert aufile,/lab/$name/alert.wav
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen $control:4444
END
    printf '<sip:%s@%s>;outbound="sip:%s";auth_user=%s;auth_pass=%s;regint=0;answermode=%s;audio_codecs=pcma\n' \
        "$user" "$domain" "$proxy" "$user" "$password" "$answer" >"$dir/accounts"
    # Its threads begin as threads.c says, and need not wait for those of other processes where this machine allows that.
    [[ -e $RUN/threads.so ]] || { cc -O -shared -fPIC -o "$dir/threads.so" "$LAB_DIR/phone/threads.c" && mv "$dir/threads.so" "$RUN/"; }
    ! in_lab chrt --rr 1 true 2>/dev/null || in_time=(chrt --rr 1)
    spawn "$name" "${in_time[@]}" chroot "$path" env LD_PRELOAD=/lab/threads.so baresip -f "/lab/$name"
    until_ready "$name" listens "$control" 4444
}

# Whether something accepts TCP connections at ADDRESS PORT.
listens() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
