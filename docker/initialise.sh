#!/bin/sh
# Prepare the cluster as its administrator; the credentials file lives in memory, and as long as this.
set -eu
umask 077
printf '{"username": "admin", "password": "%s"}' "$ADMIN_PASSWORD" >/tmp/admin.json
exec onesource init --credentials /tmp/admin.json --secrets /var/lib/onesource/credentials
