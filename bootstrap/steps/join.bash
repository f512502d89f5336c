# k3s as one more node. The token comes from a file or standard input, never as an argument.

# join_token: what authenticates this node, and the server to it.
join_token() {
    local token
    if [ "$TOKEN_FILE" = - ]; then
        read -r token || true
    else
        [ -r "$TOKEN_FILE" ] || die "TOKEN_FILE: $TOKEN_FILE cannot be read"
        [[ $(stat -c %a "$TOKEN_FILE") = ?00 ]] || die "TOKEN_FILE: $TOKEN_FILE can be read by others: chmod 0600 it"
        read -r token <"$TOKEN_FILE" || true
    fi
    # The short form would not tell a server from whoever answers in its place.
    [[ $token = K10*::* ]] || die "TOKEN_FILE: the token must be one that 'k3s token create --ttl 1h' prints on the server: K10...::..."
    printf '%s\n' "$token"
}

step_join() {
    local token
    [ -n "$SERVER_URL" ] || die "SERVER_URL: empty; join needs the server's address, as https://10.0.0.5:6443"
    step_preflight
    k3s_download
    if [ -n "$DRY_RUN" ]; then
        say "write 0600 $ETC/token (from ${TOKEN_FILE/#-/standard input}, not shown)"
    elif ! systemctl is-active --quiet k3s-agent; then
        # A node that has joined needs no second token.
        token=$(join_token)
        put 0600 "$ETC/token" <<<"$token"
    fi
    { printf 'server: %s\n' "$SERVER_URL" && k3s_node; } | put 0600 "$ETC/config.yaml"
    k3s_install agent k3s-agent
    wait_for 300 "the agent to run" systemctl is-active --quiet k3s-agent
}
