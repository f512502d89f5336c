# How every step acts: shown before it is done, done whole or not at all, only shown under --dry-run.

say() { printf '%s\n' "$*"; }
die() { printf 'charon-bootstrap: %s\n' "$*" >&2 && exit 1; }
# refuse WHY: ends the run; a plan goes on and says so.
refuse() { if [ -n "$DRY_RUN" ]; then say "would be refused: $*" >&2; else die "$*"; fi; }

# run COMMAND...: shows it and runs it. Never with a secret among the arguments.
run() {
    [ "$1" != kubectl ] || set -- k3s "$@"
    printf '+' && printf ' %q' "$@" && printf '\n'
    [ -n "$DRY_RUN" ] || "$@"
}

# put MODE FILE: standard input becomes the file; nothing happens if it is so already.
put() {
    local mode=$1 file=$2
    if [ -n "$DRY_RUN" ]; then
        say "write $mode $file" && sed 's/^/    /'
        return
    fi
    (umask 022 && mkdir -p "$(dirname "$file")")
    cat >"$file.draft"
    chmod "$mode" "$file.draft"
    if cmp -s "$file.draft" "$file" && [ "0$(stat -c %a "$file")" = "$mode" ]; then
        rm "$file.draft"
    else
        mv "$file.draft" "$file" && say "wrote $mode $file"
    fi
}

random() { head -c 32 /dev/urandom | sha256sum | cut -d' ' -f1; } # 256 bits, in hexadecimal

# put_secret FILE: a random secret, once; it is not shown.
put_secret() {
    [ ! -s "$1" ] || return 0
    if [ -n "$DRY_RUN" ]; then say "write 0600 $1 (random, not shown)"; else random | put 0600 "$1"; fi
}

# pinned NAME COMMAND: the value of that line of versions.env, refused while it is empty.
pinned() {
    [ -n "${!1:-}" ] ||
        refuse "$1 is empty in versions.env. Write there, once compared with its publisher's, what this prints: $2"
    printf '%s' "${!1:-EMPTY}"
}

# fetch NAME URL MODE FILE: downloads what has the checksum NAME_SHA256, unless it is there.
fetch() {
    local url=$2 mode=$3 file=$4 sum
    sum=$(pinned "$1_SHA256" "curl -fsSL '$url' | sha256sum")
    if [ "$(sha256sum "$file" 2>/dev/null | cut -d' ' -f1)" != "$sum" ]; then
        [ -n "$DRY_RUN" ] || (umask 022 && mkdir -p "$(dirname "$file")")
        run curl -fsSL --proto =https --retry 3 -o "$file.draft" "$url"
        [ -z "$DRY_RUN" ] || { say "check sha256 $sum, then write $mode $file" && return; }
        sha256sum --check --status <<<"$sum  $file.draft" ||
            { rm -f "$file.draft" && die "$url: its sha256 is not $1_SHA256 of versions.env"; }
        mv "$file.draft" "$file" && say "wrote $mode $file"
    fi
    [ -n "$DRY_RUN" ] || chmod "$mode" "$file"
}

# image NAME: the image with its digest, as a pod writes it.
image() {
    local digest
    digest=$(pinned "$1_DIGEST" "skopeo inspect --format '{{.Digest}}' docker://${!1}")
    printf '%s' "${!1}@$digest"
}

# holds_within SECONDS COMMAND...: asks until it holds.
holds_within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 2
    done
}

# wait_for SECONDS WHAT COMMAND...: goes on when the command holds.
wait_for() {
    say "wait up to $1 s for $2"
    [ -z "$DRY_RUN" ] || return 0
    holds_within "$1" "${@:3}" || die "$2: not within $1 s; the same command goes on from here"
}

k3s() { "$BIN/k3s" "$@"; }
kubectl() { k3s kubectl "$@"; }

# apply: standard input becomes objects of the cluster.
apply() {
    if [ -n "$DRY_RUN" ]; then say '+ k3s kubectl apply -f -' && sed 's/^/    /'; else kubectl apply -f -; fi
}

# namespace NAME LEVEL: with that level of pod security.
namespace() {
    apply <<<"{apiVersion: v1, kind: Namespace, metadata: {name: $1, labels: {pod-security.kubernetes.io/enforce: $2}}}"
}
