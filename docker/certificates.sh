#!/bin/sh
# Make a certificate authority of this installation's own, and a keystore for each broker.
#
#     certificates.sh FOLDER PUBLIC_HOST BROKER...
#
# Doing it again changes nothing, unless a broker's certificate ends within 30 days or PUBLIC_HOST
# is another one now: then that broker gets a new one, which it reads at its next start.
#
#     FOLDER/authority/   the authority's key: for this script alone
#     FOLDER/public/      authority.pem: what clients trust
#     FOLDER/BROKER/      keystore.pem and authority.pem: for that broker alone
set -eu
umask 077

AUTHORITY_DAYS=3650
BROKER_DAYS=397
RENEW_SECONDS=$((30 * 24 * 3600))

folder=$1
public_host=$2
shift 2

# A file is there whole or not at all, whatever interrupts this script.
make_authority() {
    mkdir -p "$folder/authority" "$folder/public"
    chmod 755 "$folder/public"
    if [ ! -s "$folder/authority/key.pem" ]; then
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
            -out "$folder/authority/key.part"
        mv "$folder/authority/key.part" "$folder/authority/key.pem"
    fi
    if [ ! -s "$folder/public/authority.pem" ]; then
        openssl req -x509 -new -sha256 -key "$folder/authority/key.pem" -days "$AUTHORITY_DAYS" \
            -subj "/O=OneSource/CN=OneSource broker authority" \
            -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
            -addext "keyUsage=critical,keyCertSign,cRLSign" \
            -out "$folder/public/authority.part"
        chmod 644 "$folder/public/authority.part"
        mv "$folder/public/authority.part" "$folder/public/authority.pem"
    fi
}

names_of() {
    case $public_host in
        *:*) kind=IP ;;
        *[!0-9.]*) kind=DNS ;;
        *) kind=IP ;;
    esac
    echo "DNS:$1,DNS:localhost,IP:127.0.0.1,$kind:$public_host"
}

is_good() {
    [ -s "$folder/$1/keystore.pem" ] && [ "$(cat "$folder/$1/names")" = "$(names_of "$1")" ] &&
        openssl x509 -in "$folder/$1/keystore.pem" -noout -checkend "$RENEW_SECONDS" >/dev/null
}

make_keystore() {
    work=$folder/$1/work
    mkdir -p "$work"
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/key.pem"
    openssl req -new -sha256 -key "$work/key.pem" -subj "/O=OneSource/CN=$1" -out "$work/request.pem"
    cat >"$work/extensions" <<EXTENSIONS
subjectAltName=$(names_of "$1")
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
EXTENSIONS
    openssl x509 -req -sha256 -days "$BROKER_DAYS" -set_serial "0x1$(openssl rand -hex 15)" \
        -in "$work/request.pem" -extfile "$work/extensions" \
        -CA "$folder/public/authority.pem" -CAkey "$folder/authority/key.pem" \
        -out "$work/certificate.pem" 2>/dev/null
    cat "$work/key.pem" "$work/certificate.pem" "$folder/public/authority.pem" >"$work/keystore.pem"
    cp "$folder/public/authority.pem" "$folder/$1/authority.pem"
    names_of "$1" >"$folder/$1/names"
    mv "$work/keystore.pem" "$folder/$1/keystore.pem"
    rm -r "$work"
}

make_authority
for broker in "$@"; do
    if is_good "$broker"; then
        echo "$broker: its certificate is good"
    else
        make_keystore "$broker"
        echo "$broker: new certificate for $(names_of "$broker")"
    fi
done
