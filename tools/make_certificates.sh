#!/bin/sh
# An authority and certificates by it, for a metadata service and storage nodes that nobody else has to trust.
# usage: make_certificates.sh FOLDER NAME HOST…   makes FOLDER/ca.crt, ca.key (once), and NAME.crt, NAME.key for these
# names and addresses. Keep ca.key off the machines that serve.
set -eu
umask 077
[ $# -ge 3 ] || { echo "usage: $0 FOLDER NAME HOST…" >&2; exit 2; }
folder=$1 name=$2
shift 2
mkdir -p "$folder"
chmod 755 "$folder"
if [ ! -f "$folder/ca.crt" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Distribute file service" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "$folder/ca.key" -out "$folder/ca.crt" 2>/dev/null
fi
names=
for host in "$@"; do
  case $host in
    *[!0-9.]*) case $host in *:*) kind=IP ;; *) kind=DNS ;; esac ;;
    *) kind=IP ;;
  esac
  names="${names:+$names,}$kind:$host"
done
printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n' "$names" >"$folder/$name.ext"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
  -keyout "$folder/$name.key" -out "$folder/$name.csr" 2>/dev/null
openssl x509 -req -in "$folder/$name.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial -days 825 \
  -extfile "$folder/$name.ext" -out "$folder/$name.crt" 2>/dev/null
rm -f "$folder/$name.ext" "$folder/$name.csr"
chmod 644 "$folder/ca.crt" "$folder/$name.crt"
