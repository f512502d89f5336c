#!/usr/bin/env bash
# Every program that the bootstrap calls on a host, played by this one, under the name it is called by.
# It records the call in $WORLD/log and keeps in $WORLD what the program would have changed.
set -euo pipefail
umask 077
me=${0##*/}
line=$(printf '%q ' "$me" "$@")
line=${line% }
printf '%s\n' "$line" >>"$WORLD/log"

# breaks WHEN: whether this call is to break now; each distinct call breaks once.
breaks() {
    [ -e "$WORLD/$1" ] && ! grep -qsxF -- "$line" "$WORLD/broken" && printf '%s\n' "$line" >>"$WORLD/broken"
}

! breaks fail || exit 1
# A Ctrl-C reaches everything that runs in the foreground.
! breaks interrupt || { kill -INT 0 && sleep 5; }

# What a test has this program do for real.
[ ! -x "$WORLD/hooks/$me" ] || "$WORLD/hooks/$me" "$@"

# stored KIND: standard input becomes an object, named by what is in it.
stored() {
    local draft=$WORLD/draft.$$
    cat >"$draft"
    mv "$draft" "$WORLD/$1/$(sha256sum <"$draft" | cut -c1-16)"
}

# value NUMBER: an answer of Mimir.
value() { printf '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"%s"]}]}}' "$1"; }

play_kubectl() {
    case "$*" in
        'get --raw /readyz') [ -e "$WORLD/units/k3s" ] ;;
        'get --raw '*/query*) value "$(cat "$WORLD/answers/$(printf '%b' "$(sed 's/.*query=//; s/%/\\x/g' <<<"$3")" | sha256sum | cut -c1-16)" 2>/dev/null || cat "$WORLD/answers/any")" ;;
        'apply -f -') stored objects ;;
        'create -f -') [ ! -e "$WORLD/secret" ] && cat >"$WORLD/secret.draft" && mv "$WORLD/secret.draft" "$WORLD/secret" ;;
        'get secret'*) [ -e "$WORLD/secret" ] ;;
        'label node'*) touch "$WORLD/labelled" ;;
        'get nodes --selector'*) [ ! -e "$WORLD/labelled" ] || echo node/host-a ;;
        'get pv'*) [ -e "$WORLD/units/k3s" ] && echo "pvc-1 10Gi monitoring/data-mimir-0" ;;
        *allocatable*) echo 2 ;;
        *Ready*) cat "$WORLD/ready" ;;
        *MetricsHealthy*) echo True ;;
        *.status.phase*) cat "$WORLD/phase" ;;
        *) ;;
    esac
}

play_helm() {
    local release=$WORLD/releases/${3:-}
    case $1 in
        history) cat "$WORLD/releases/$2" ;;
        uninstall) rm "$WORLD/releases/$2" ;;
        rollback) printf '[{"status":"deployed","description":"Rollback"}]' >"$WORLD/releases/$2" ;;
        upgrade)
            # As the real one: while another operation is in progress, none begins.
            ! grep -qs pending- "$release"
            while [ "$1" != --description ]; do shift; done
            printf '[{"status":"deployed","description":"%s"}]' "$2" >"$release"
            ;;
    esac
}

play_systemctl() {
    case $1 in
        is-active) shift 2 && for unit; do [ ! -e "$WORLD/units/$unit" ] || return 0; done && return 3 ;;
        restart)
            [ -e "$CHARON_BOOTSTRAP_ROOT/etc/systemd/system/$2.service" ]
            touch "$WORLD/units/$2"
            local etc=$CHARON_BOOTSTRAP_ROOT/var/lib/rancher/k3s/agent/etc/containerd
            mkdir -p "$etc"
            # k3s looks for the runtime once, when it starts.
            if [ -x "$CHARON_BOOTSTRAP_ROOT/usr/bin/nvidia-container-runtime" ]; then echo nvidia; else echo runc; fi >"$etc/config.toml"
            ;;
    esac
}

case $me in
    curl) while [ $# -gt 1 ]; do [ "$1" != -o ] || out=$2; shift; done && cat "$WORLD/served/${1##*/}" >"$out" ;;
    k3s) if [ "$1" = token ]; then echo "K10$(sha256sum </dev/null | cut -c1-64)::abcdef.0123456789abcdef"; else [ "$1" = kubectl ] && play_kubectl "${@:2}"; fi ;;
    helm) play_helm "$@" ;;
    systemctl) play_systemctl "$@" ;;
    nvidia-smi) if [ "$1" = -L ]; then echo "GPU 0: H100"; else cat "$WORLD/processes"; fi ;;
    nvidia-ctk) cat "$WORLD/toolkit" ;;
    install.sh)
        for tool in killall uninstall; do
            cp "$0" "$INSTALL_K3S_BIN_DIR/k3s-$tool.sh" && chmod 755 "$INSTALL_K3S_BIN_DIR/k3s-$tool.sh"
        done
        mkdir -p "$INSTALL_K3S_SYSTEMD_DIR"
        name=k3s && [ "$INSTALL_K3S_EXEC" = server ] || name=k3s-agent
        # What the real one keeps for the unit.
        { echo "$INSTALL_K3S_EXEC" && env | sed -n '/^K3S_/p'; } >"$INSTALL_K3S_SYSTEMD_DIR/$name.service"
        ;;
    k3s-killall.sh) rm -f "$WORLD"/units/* ;;
    k3s-uninstall.sh) rm -rf "$CHARON_BOOTSTRAP_ROOT"/etc/systemd/system/k3s*.service "${0%/*}"/k3s-*.sh ;;
    id) cat "$WORLD/uid" ;;
    uname) if [ "$1" = -n ]; then echo host-a; else echo x86_64; fi ;;
    nproc) echo 4 ;;
    sleep) ;;
esac
! breaks kill || kill -KILL 0
