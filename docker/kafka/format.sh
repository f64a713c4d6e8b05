#!/bin/sh
# Format the storage of one node, with the account that everything else is set up with.
#
# Storage that is formatted is left alone. The password reaches the tool in its arguments, the only
# way that it has; nothing else runs in this container, which ends with it. The tool prints the keys
# that it derives from the password, so what it prints is thrown away; errors are not.
set -eu
exec /opt/kafka/bin/kafka-storage.sh format --ignore-formatted \
    --cluster-id "$CLUSTER_ID" \
    --config /etc/onesource/kafka/server.properties \
    --add-scram "SCRAM-SHA-512=[name=admin,password=$ADMIN_PASSWORD]" >/dev/null
