# Does it work, from a node to a decision? A table, and 1 if any line failed.

PATIENCE_S=${CHARON_VERIFY_PATIENCE_S:-120}

# mimir QUERY: the first value, asked through the API server: ClusterIPs need no way out.
mimir() {
    local encoded
    encoded=$(printf %s "$1" | od -An -v -tx1 | tr -d '\n' | tr ' ' %)
    kubectl get --raw "/api/v1/namespaces/monitoring/services/mimir:8080/proxy/prometheus/api/v1/query?query=$encoded" |
        sed -n 's/.*"value":\[[^,]*,"\([^"]*\)"\].*/\1/p'
}

nodes_ready() {
    local states
    states=$(kubectl get nodes -o 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}')
    [ -n "$states" ] && [[ $states != *[FU]* ]]
}
is_up() { [ "$(mimir "min(up{job=\"$1\"})")" = 1 ]; }
is_fresh() { awk -v age="$(mimir 'time() - max(timestamp(up))')" 'BEGIN {exit !(age != "" && age < 15)}'; }
operator_leads() { [ "$(mimir 'max(charon_leader)')" = 1 ]; }
app_reports() {
    [ "$(kubectl get chargedapp probe --namespace charon-verify -o 'jsonpath={.status.conditions[?(@.type=="MetricsHealthy")].status}')" = True ]
}

# expect WHAT REMEDY COMMAND...: one line of the table, within the patience.
expect() {
    if [ -n "$DRY_RUN" ]; then say "  check $1"; else check "$1" "$2" holds_within "$PATIENCE_S" "${@:3}"; fi
}

step_verify() {
    local job jobs=(kubelet-cadvisor kubelet-resource kube-state-metrics node-exporter charon-operator)
    UNFIT=0
    ! has_gpu_nodes || jobs+=(dcgm-exporter)
    expect "nodes Ready" "k3s kubectl describe nodes" nodes_ready
    ! has_gpu_nodes || expect "GPUs allocatable" "k3s kubectl -n gpu-system get pods" has_allocatable_gpus
    for job in "${jobs[@]}"; do
        expect "job $job up" "k3s kubectl -n monitoring logs deployment/alloy" is_up "$job"
    done
    expect "a sample younger than 15 s, from scrape to query" "k3s kubectl -n monitoring get pods" is_fresh
    expect "the operator leads" "k3s kubectl -n charon-system logs deployment/charon-operator" operator_leads
    apply <"$HERE/manifests/verify.yaml"
    expect "a ChargedApp in Advisory sees its metric" "its conditions are below" app_reports
    [ "$UNFIT" -eq 0 ] || run kubectl get chargedapp probe --namespace charon-verify -o 'jsonpath={.status.conditions[*].message}' || true
    run kubectl delete namespace charon-verify --ignore-not-found
    [ "$UNFIT" -eq 0 ] || die "verify: $UNFIT failed, see above"
}
