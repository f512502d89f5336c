# What measures: Mimir, what fills it, what shows it. Charts from archives whose checksum is known.

HELM_READY=''
helm_download() {
    local arch archive=$STATE/helm.tar.gz
    [ -z "$HELM_READY" ] || return 0
    arch=$(arch) HELM_READY=yes
    fetch "HELM_${arch^^}" "https://get.helm.sh/helm-$HELM_VERSION-linux-$arch.tar.gz" 0600 "$archive"
    [ -z "$DRY_RUN" ] || { say "write 0755 $STATE/bin/helm (from $archive)" && return; }
    tar -xzOf "$archive" "linux-$arch/helm" | put 0755 "$STATE/bin/helm"
}

helm() { "$STATE/bin/helm" "$@"; }

# release_unstick NAME NAMESPACE STATE: an interrupted helm leaves a release that it then refuses to touch.
release_unstick() {
    case $3 in
        *'"status":"pending-install"'* | *'"status":"uninstalling"'*) run helm uninstall "$1" --namespace "$2" --wait ;;
        *'"status":"pending-'*) run helm rollback "$1" --namespace "$2" --wait ;;
    esac
}

# release NAME NAMESPACE CHART HASH OPTION...: installed as described, unless it is so already. The
# hash of all that was given is the release's description: the cluster itself knows what was applied.
release() {
    local name=$1 namespace=$2 chart=$3 values=$HERE/values/$1.yaml hash told=''
    hash=$({ cat "$values" && printf '%s ' "${@:4}"; } | sha256sum)
    shift 4
    hash="charon-bootstrap ${hash:0:16}"
    [ -n "$DRY_RUN" ] || told=$(helm history "$name" --namespace "$namespace" --max 1 --output json 2>/dev/null) || true
    if [[ $told = *'"status":"deployed"'* && $told = *"\"description\":\"$hash\""* ]]; then
        say "$name: nothing changed" && return
    fi
    release_unstick "$name" "$namespace" "$told"
    run helm upgrade --install "$name" "$chart" --namespace "$namespace" --values "$values" \
        --description "$hash" --wait --atomic --timeout 10m "$@"
}

# chart NAME RELEASE NAMESPACE OPTION...: a release of a chart of versions.env.
chart() {
    local url=$1_URL sum=$1_SHA256 file
    file=$STATE/charts/$2-${!url##*-}
    fetch "$1" "${!url}" 0600 "$file"
    release "$2" "$3" "$file" "${!sum}" "${@:4}"
}

mimir_monolithic() {
    local pulled
    pulled=$(image MIMIR_IMAGE)
    sed "s|image: mimir|image: $pulled|" "$HERE/manifests/mimir.yaml" | apply
    run kubectl rollout status statefulset/mimir --namespace monitoring --timeout 10m
}

mimir_distributed() {
    [ -n "$DRY_RUN" ] || kubectl get secret mimir-bucket --namespace monitoring >/dev/null ||
        die "MIMIR: distributed needs the Secret mimir-bucket of namespace monitoring, with ENDPOINT, BUCKET, ACCESS_KEY, SECRET_KEY"
    chart MIMIR_DISTRIBUTED mimir monitoring
}

# grafana_password: random, once, by standard input: no argument, no file.
grafana_password() {
    if [ -n "$DRY_RUN" ]; then
        say 'create Secret monitoring/charon-grafana-admin (random password, not shown)'
    elif ! kubectl get secret charon-grafana-admin --namespace monitoring >/dev/null 2>&1; then
        kubectl create -f - <<<"{apiVersion: v1, kind: Secret, metadata: {name: charon-grafana-admin, namespace: monitoring},
            stringData: {admin-user: admin, admin-password: \"$(random)\"}}"
    fi
}

step_stack() {
    helm_download
    # node-exporter reads the host: its processes, its network, its file systems.
    namespace monitoring privileged
    case $MIMIR in
        monolithic) mimir_monolithic ;;
        distributed) mimir_distributed ;;
    esac
    chart KUBE_STATE_METRICS kube-state-metrics monitoring
    chart NODE_EXPORTER node-exporter monitoring
    chart ALLOY alloy monitoring
    grafana_password
    chart GRAFANA grafana monitoring
}
