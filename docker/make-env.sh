#!/bin/sh
# Write docker/.env from docker/.env.example: what has no value there gets a random one.
#
# An .env that exists is left alone: its passwords are in the volumes already.
set -eu
umask 077
cd "$(dirname "$0")"

if [ -e .env ]; then
    echo ".env exists and is left as it is"
    exit 0
fi
while IFS= read -r line; do
    case $line in
        # Kafka's cluster id is 22 characters of base64, which hexadecimal digits are, too.
        KAFKA_CLUSTER_ID=) line=$line$(openssl rand -hex 11) ;;
        [A-Z]*=) line=$line$(openssl rand -hex 20) ;;
    esac
    printf '%s\n' "$line"
done <.env.example >.env.part
mv .env.part .env
echo "wrote .env; only its owner may read it"
