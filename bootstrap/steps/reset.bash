# Removes everything from this host. Volumes are listed first: their data goes with them.

reset_volumes() {
    local storage=$ROOT/var/lib/rancher/k3s/storage
    say "volumes of the cluster; those below $storage on this host are deleted:"
    kubectl get pv 2>/dev/null || ls "$storage" 2>/dev/null || say "  none found"
}

step_reset() {
    local script units=$ROOT/etc/systemd/system
    reset_volumes
    [ -n "$YES$DRY_RUN" ] || die "reset deletes them and k3s from this host: say --yes"
    for script in k3s-killall.sh k3s-uninstall.sh k3s-agent-uninstall.sh; do
        if [ -x "$BIN/$script" ] || [ -n "$DRY_RUN" ]; then run "$BIN/$script"; fi
    done
    # What the uninstall script leaves; an interrupted one leaves more, and removes itself. What is mounted stays.
    run rm -rf --one-file-system "$ROOT/etc/rancher" "$ROOT/var/lib/rancher" "$ROOT/var/lib/kubelet" \
        "$ROOT/run/k3s" "$ROOT/run/flannel" "$BIN"/k3s{,-killall.sh} "$units"/k3s{,-agent}.service{,.env}
    run find "$BIN" -maxdepth 1 -lname k3s -delete
    run systemctl daemon-reload
    run rm -rf "$STATE"
}
