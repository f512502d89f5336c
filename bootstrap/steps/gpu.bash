# GPUs for pods, proved by one. Nothing happens where neither this host nor a node that joined has any.

gpu_nodes() { kubectl get nodes --selector nvidia.com/gpu.present=true --output name; }
has_gpu_nodes() { has_gpu || [ -n "$(gpu_nodes 2>/dev/null)" ]; }
knows_gpu_runtime() { grep -qs nvidia "$ROOT/var/lib/rancher/k3s/agent/etc/containerd/config.toml"; }
probe_phase() { kubectl get pod gpu-probe --namespace gpu-system -o 'jsonpath={.status.phase}'; }
probe_ended() { [[ $(probe_phase) = @(Succeeded|Failed) ]]; }
has_allocatable_gpus() {
    local node count
    for node in $(gpu_nodes); do
        count=$(kubectl get "$node" -o 'jsonpath={.status.allocatable.nvidia\.com/gpu}')
        [ "${count:-0}" -gt 0 ] || return 1
    done
}

# gpu_host: k3s looks for the runtime once, when it starts.
gpu_host() {
    if ! knows_gpu_runtime; then
        gpu_guard
        run systemctl restart k3s
        wait_for 60 "containerd's configuration to name the nvidia runtime" knows_gpu_runtime
        wait_for 300 "the API server" kubectl get --raw /readyz
    fi
    run kubectl label node "$(node_name)" nvidia.com/gpu.present=true --overwrite
}

# gpu_probe: a pod that lists the GPU it was given; once for the same nodes and plugin.
gpu_probe() {
    local probe proved="$DEVICE_PLUGIN_VERSION $GPU_PROBE_IMAGE_DIGEST"
    [ -n "$DRY_RUN" ] || proved+=" $(gpu_nodes | tr '\n' ' ')"
    [ "$(cat "$STATE/gpu.proved" 2>/dev/null)" != "$proved" ] || { say "gpu: proved before" && return; }
    probe=$(image GPU_PROBE_IMAGE)
    run kubectl delete pod gpu-probe --namespace gpu-system --ignore-not-found
    sed "s|image: probe|image: $probe|" "$HERE/manifests/gpu-probe.yaml" | apply
    wait_for 600 "the probe's pod to end" probe_ended
    run kubectl logs gpu-probe --namespace gpu-system
    [ -n "$DRY_RUN" ] || [ "$(probe_phase)" = Succeeded ] || die "gpu: a pod with nvidia.com/gpu: 1 saw no GPU; its log is above"
    run kubectl delete pod gpu-probe --namespace gpu-system --ignore-not-found
    put 0600 "$STATE/gpu.proved" <<<"$proved"
}

step_gpu() {
    if ! has_gpu_nodes; then
        [ "$GPU" != yes ] || die "GPU: yes, but nvidia-smi lists none: install NVIDIA's driver, or set GPU=auto"
        say "no GPU here: nothing to do" && return
    fi
    ! has_gpu || gpu_host
    helm_download
    # Device plugin and exporter need the host's devices and sockets.
    namespace gpu-system privileged
    chart DEVICE_PLUGIN nvidia-device-plugin gpu-system
    chart DCGM_EXPORTER dcgm-exporter gpu-system
    wait_for 300 "allocatable GPUs" has_allocatable_gpus
    gpu_probe
}
