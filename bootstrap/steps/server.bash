# k3s as control plane and first node. All of its configuration is one file, restarted when that changes.

# k3s_download: the binary where it runs, the install script beside our state.
k3s_download() {
    local arch file=k3s
    arch=$(arch)
    [ "$arch" = amd64 ] || file=k3s-$arch
    fetch "K3S_${arch^^}" "https://github.com/k3s-io/k3s/releases/download/${K3S_VERSION/+/%2B}/$file" 0755 "$BIN/k3s"
    fetch K3S_INSTALL "https://raw.githubusercontent.com/k3s-io/k3s/${K3S_INSTALL_VERSION/+/%2B}/install.sh" 0755 "$STATE/install.sh"
}

# k3s_node: what server and agent have in common.
k3s_node() {
    printf 'node-name: %s\n' "$(node_name)"
    [ -z "$NODE_IP" ] || printf 'node-ip: %s\n' "$NODE_IP"
    printf 'token-file: %s\n' "$ETC/token"
    # At registration only; k3s has looked for the GPU's runtime by then.
    ! has_gpu || printf 'node-label: [nvidia.com/gpu.present=true]\n'
}

k3s_server_config() {
    local mode=0600
    [ -z "$KUBECONFIG_GROUP" ] || mode=0640
    k3s_node
    cat <<TEXT
agent-token-file: $ETC/agent-token
cluster-cidr: $CLUSTER_CIDR
service-cidr: $SERVICE_CIDR
cluster-dns: $CLUSTER_DNS
flannel-backend: $FLANNEL_BACKEND
secrets-encryption: true
disable: [traefik, servicelb]
write-kubeconfig-mode: "$mode"
${KUBECONFIG_GROUP:+write-kubeconfig-group: $KUBECONFIG_GROUP}
TEXT
}

# gpu_guard: a daemon-reload can take the GPU from pods where the toolkit still uses its hook.
gpu_guard() {
    has_gpu && ! has_cdi_toolkit || return 0
    [ -n "$(nvidia-smi --query-compute-apps=pid --format=csv,noheader 2>/dev/null)" ] || return 0
    say "warning: programs use this host's GPUs, and its toolkit is below 1.18: they may lose them now"
    [ -n "$YES$DRY_RUN" ] || die "programs use this host's GPUs: end them, or say --yes"
}

# k3s_hash: of all that the unit is started from. The install script's own hash leaves the file out.
k3s_hash() { { sha256sum "$BIN/k3s" "$STATE/install.sh" "$ETC/config.yaml" "$ETC"/*token 2>/dev/null || true; } | sha256sum; }

# k3s_install server|agent UNIT: writes the unit and restarts it, unless nothing changed since.
k3s_install() {
    local role=$1 unit=$2 wanted
    wanted=$(k3s_hash)
    if [ "$(cat "$STATE/$unit.applied" 2>/dev/null)" = "$wanted" ] && systemctl is-active --quiet "$unit"; then
        say "$unit: nothing changed" && return
    fi
    gpu_guard
    (umask 022 && run env INSTALL_K3S_SKIP_DOWNLOAD=true INSTALL_K3S_SKIP_START=true \
        "INSTALL_K3S_EXEC=$role" "INSTALL_K3S_BIN_DIR=$BIN" "INSTALL_K3S_SYSTEMD_DIR=$ROOT/etc/systemd/system" \
        sh "$STATE/install.sh")
    run systemctl restart "$unit"
    # Last: whatever is interrupted before is done again.
    [ -n "$DRY_RUN" ] || put 0600 "$STATE/$unit.applied" <<<"$wanted"
}

is_node_ready() { [ "$(kubectl get node "$(node_name)" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]; }

step_server() {
    step_preflight
    k3s_download
    put_secret "$ETC/token"
    put_secret "$ETC/agent-token"
    k3s_server_config | put 0600 "$ETC/config.yaml"
    k3s_install server k3s
    wait_for 300 "the API server" kubectl get --raw /readyz
    wait_for 300 "node $(node_name) to be Ready" is_node_ready
}
