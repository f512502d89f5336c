# cluster.env: every field with its default and its form. It is read, never run.

declare -A FORM=() MEANS=()
# field NAME DEFAULT FORM MEANING
field() { printf -v "$1" %s "$2" && FORM[$1]=$3 && MEANS[$1]=$4; }

octet='(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])'
ip="$octet(\.$octet){3}"
name='[a-z0-9]([a-z0-9.-]*[a-z0-9])?'
field CLUSTER_CIDR 10.31.0.0/16 "$ip/([89]|[12][0-9])" "a range of addresses, as 10.31.0.0/16"
field SERVICE_CIDR 10.32.0.0/16 "$ip/([89]|[12][0-9])" "a range of addresses, as 10.32.0.0/16"
field CLUSTER_DNS 10.32.0.10 "$ip" "an address of SERVICE_CIDR, as 10.32.0.10"
field FLANNEL_BACKEND vxlan 'vxlan|wireguard-native' "vxlan or wireguard-native"
field NODE_NAME '' "($name)?" "a name of lower-case letters, digits, - and ."
field NODE_IP '' "($ip)?" "an address of this host, as 10.0.0.5"
field KUBECONFIG_GROUP '' '([a-z_][a-z0-9_-]*)?' "the name of a group"
field SERVER_URL '' "(https://$name:[0-9]+)?" "the server's address, as https://10.0.0.5:6443"
field TOKEN_FILE - '-|/[^[:space:]]+' "the path of a file, or - for standard input"
field GPU auto 'auto|yes|no' "auto, yes or no"
field MIMIR monolithic 'monolithic|distributed' "monolithic or distributed"
field OPERATOR_IMAGE '' '([a-z0-9][a-z0-9./:_-]*(@sha256:[0-9a-f]{64}|:[A-Za-z0-9._-]+))?' "name@sha256:..., or name:tag"

config_set() { # WHERE NAME VALUE
    # An unknown line may be anything, a secret too: its value is not shown.
    [[ -v FORM[$2] ]] || die "$1: $2: no such field; cluster.env.example lists them"
    [[ $3 =~ ^(${FORM[$2]})$ ]] || die "$1: $2: '$3' is not ${MEANS[$2]}"
    printf -v "$2" %s "$3"
}

config_read() { # FILE
    local file=$1 line number=0
    [ -r "$file" ] || die "--config: $file cannot be read"
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        [[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
        [[ $line =~ ^([A-Z0-9_]+)=(.*)$ ]] || die "$file: line $number: write NAME=value, without quotes or spaces around ="
        config_set "$file" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    done < <(cat "$file")
    in_range "$CLUSTER_DNS" "$SERVICE_CIDR" || die "$file: CLUSTER_DNS: $CLUSTER_DNS is not in SERVICE_CIDR $SERVICE_CIDR"
    if in_range "${CLUSTER_CIDR%/*}" "$SERVICE_CIDR" || in_range "${SERVICE_CIDR%/*}" "$CLUSTER_CIDR"; then
        die "$file: SERVICE_CIDR: $SERVICE_CIDR overlaps CLUSTER_CIDR $CLUSTER_CIDR"
    fi
}

# number ADDRESS: as a number, leading zeros not being octal.
number() {
    local a b c d
    IFS=. read -r a b c d <<<"$1"
    printf '%s' $(((10#$a << 24) + (10#$b << 16) + (10#$c << 8) + 10#$d))
}

# in_range ADDRESS RANGE
in_range() {
    local unused=$((32 - ${2#*/}))
    [ $(($(number "$1") >> unused)) -eq $(($(number "${2%/*}") >> unused)) ]
}

node_name() { printf '%s' "${NODE_NAME:-$(uname -n | tr '[:upper:]' '[:lower:]')}"; }

arch() { uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/'; }
