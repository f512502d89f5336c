# Is this host fit? Reads, never changes.

UNFIT=0

# check WHAT REMEDY COMMAND...: one line of the table.
check() {
    if "${@:3}" >/dev/null 2>&1; then
        printf '  ok    %s\n' "$1"
    else
        UNFIT=$((UNFIT + 1))
        printf '  FAIL  %s: %s\n' "$1" "$2"
    fi
}

has() { local each && for each in "$@"; do command -v "$each" || return 1; done; }
memory_mb() { awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo; }
counts_memory() {
    grep -qs memory /sys/fs/cgroup/cgroup.controllers || awk '$1 == "memory" && $4 == 1 {f = 1} END {exit !f}' /proc/cgroups
}
# Whoever answers on 6443 must be our own k3s.
is_free_6443() { systemctl is-active --quiet k3s || ! (exec 3<>/dev/tcp/127.0.0.1/6443); }

# has_gpu: a driver that answers, unless GPU=no. GPU=yes is believed when only a plan is asked for.
has_gpu() { [ "$GPU" != no ] && { [ "$GPU$DRY_RUN" = yesyes ] || nvidia-smi -L >/dev/null 2>&1; }; }
# Where k3s looks for the runtime, once, when it starts.
has_gpu_runtime() { [ -x "$ROOT/usr/bin/nvidia-container-runtime" ] || [ -x "$ROOT/usr/local/nvidia/toolkit/nvidia-container-runtime" ]; }
# From 1.18 the toolkit injects devices by CDI; before, a hook whose devices any update can take away.
has_cdi_toolkit() {
    local version
    version=$(nvidia-ctk --version 2>/dev/null | grep -o '[0-9][0-9.]*' | head -n 1)
    [ "$(printf '1.18\n%s\n' "${version:-0}" | sort -V | head -n 1)" = 1.18 ]
}

preflight_gpu() {
    [ "$GPU" != yes ] || check "a GPU, as GPU=yes says" "install NVIDIA's driver until nvidia-smi lists it, or set GPU=auto" has_gpu
    has_gpu || return 0
    check "the GPU's container runtime" "install nvidia-container-toolkit 1.18 or newer before k3s" has_gpu_runtime
    has_cdi_toolkit || say "  warn  nvidia-container-toolkit below 1.18: a resize of a GPU pod or a daemon-reload can take its GPU away"
}

step_preflight() {
    UNFIT=0
    check "root" "run it by sudo" [ "$(id -u)" -eq 0 ]
    check "x86_64 or aarch64" "k3s is pinned for these two" grep -Ex "x86_64|aarch64" <(uname -m)
    check "systemd" "k3s is installed as a unit of it" has systemctl
    check "curl, tar, sha256sum" "install them" has curl tar sha256sum
    check "2 cores" "k3s and the stack need them" [ "$(nproc)" -ge 2 ]
    check "2 GB of memory" "k3s and the stack need them" [ "$(memory_mb)" -ge 1900 ]
    check "memory cgroup" "boot with cgroup_enable=memory" counts_memory
    check "a name of its own" "localhost cannot be told from another: set NODE_NAME" [ "$(node_name)" != localhost ]
    check "KUBECONFIG_GROUP" "group $KUBECONFIG_GROUP is not there: groupadd it" getent group "${KUBECONFIG_GROUP:-root}"
    check "port 6443" "another program listens there" is_free_6443
    preflight_gpu
    if systemctl is-active --quiet ufw firewalld 2>/dev/null; then
        say "  warn  a firewall is active: admit 6443/tcp from nodes, 8472/udp (51820/udp with wireguard-native) and" \
            "10250/tcp between nodes, and all from $CLUSTER_CIDR and $SERVICE_CIDR"
    fi
    [ "$UNFIT" -eq 0 ] || [ -n "$DRY_RUN" ] || die "preflight: $UNFIT failed, see above"
}
