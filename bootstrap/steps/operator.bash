# The operator, from this repository's chart, in a namespace that admits restricted pods only.

step_operator() {
    local chart=$HERE/../helm/charon-operator image=${OPERATOR_IMAGE:-EMPTY} hash pull=IfNotPresent repository tag='' digest=''
    [ -n "$OPERATOR_IMAGE" ] || refuse "OPERATOR_IMAGE: empty; build it from deploy/Containerfile and name it"
    case $image in
        *@*) repository=${image%@*} digest=${image#*@} ;;
        # A tag can be moved: such an image is not pulled, it must be there.
        *) repository=${image%:*} tag=${image##*:} pull=Never ;;
    esac
    helm_download
    namespace charon-system restricted
    hash=$(find "$chart" -type f -exec sha256sum {} + | cut -c1-64 | sort | sha256sum)
    release charon-operator charon-system "$chart" "$hash" --set "image.repository=$repository" \
        --set-string "image.tag=$tag" --set "image.digest=$digest" --set "image.pullPolicy=$pull"
}
