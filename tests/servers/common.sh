# shellcheck shell=bash disable=SC2034
# Sourced by every start-* script (bash, root).
# start-NAME DIR PORT...  starts a server on 127.0.0.1, writes DIR/info (KEY=VALUE lines) and DIR/pids, and prints "ready NAME".
# stop DIR                stops what DIR/pids names, and keeps DIR.
# POSTROAD_TEST_TLS=DIR   certificates that several servers share; made there when missing. Without it each server makes its own.
set -euo pipefail
export LC_ALL=C
HERE=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
NAME=$(basename -- "$0")
PREFIX=${POSTROAD_TEST_PREFIX:-/opt/postroad-test}
USERS="alice bob carol"
PASSWORD=secret
DOMAIN=example.test
HOST=mail.example.test
DIR=

# A start that fails leaves nothing running.
die() {
  echo "$NAME: $*" >&2
  [ -z "$DIR" ] || "$HERE/stop" "$DIR"
  exit 1
}
[ "$(id -u)" = 0 ] || die "must run as root (the daemons change to users of their own)"

# Daemons that drop privileges must reach DIR; mktemp -d makes directories that they cannot enter.
init_dir() {
  mkdir -p "$1"
  local parent
  parent=$(CDPATH='' cd -- "$1" && pwd)
  DIR=$parent
  chmod 755 "$DIR"
  : >"$DIR/pids"
  : >"$DIR/info"
  while [ "$parent" != / ]; do
    case $(stat -c %A "$parent") in *x | *t) ;; *) die "$parent is not searchable by all (chmod o+x)" ;; esac
    parent=$(dirname "$parent")
  done
  TLS=${POSTROAD_TEST_TLS:-$DIR/tls}
  make_certs "$TLS"
}

info() { echo "$1=$2" >>"$DIR/info"; }

# The start time makes a recycled pid harmless to stop.
add_pid() { echo "$1 $(sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20)" >>"$DIR/pids"; }

open_port() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_ports() {
  local port
  for port in "$@"; do ! open_port "$port" || die "port $port is in use"; done
}

# wait_until SECONDS COMMAND...: polls, because the daemons give no other sign.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.05
  done
}

wait_port() { wait_until 60 open_port "$1" || die "nothing listens on port $1 after 60 s; logs are in $DIR"; }
wait_file() { wait_until 60 test -s "$1" || die "no $1 after 60 s; logs are in $DIR"; }

# make_certs DIR: DIR/{ca,server,server-rsa,client,wronghost,expired,selfsigned}.{pem,key} under one throw-away CA.
make_certs() {
  [ ! -s "$1/complete" ] || return 0
  mkdir -p "$1"
  (cd "$1" && write_certs) >"$1/openssl.log" 2>&1 || { cat "$1/openssl.log" >&2; die "openssl failed"; }
  echo yes >"$1/complete"
}

write_certs() {
  local ec="ec -pkeyopt ec_paramgen_curve:P-256" x509=basicConstraints=CA:FALSE
  local san="subjectAltName=DNS:localhost,DNS:$HOST,DNS:mx1.example.test,DNS:mx2.example.test,IP:127.0.0.1,IP:::1"
  leaf() { # name subject extension [key type]
    # shellcheck disable=SC2086
    openssl req -newkey ${4:-$ec} -nodes -keyout "$1.key" -out "$1.csr" -subj "$2"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -out "$1.pem" \
      -extfile <(printf '%s\n' "$3" "$x509")
  }
  # shellcheck disable=SC2086
  openssl req -x509 -newkey $ec -nodes -keyout ca.key -out ca.pem -days 3650 -subj "/CN=postroad test CA" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
  leaf server "/CN=$HOST" "$san"
  leaf server-rsa "/CN=$HOST" "$san" rsa:2048
  leaf client /CN=alice "subjectAltName=email:alice@$DOMAIN"
  leaf wronghost /CN=other.invalid subjectAltName=DNS:other.invalid
  # only "openssl ca" of OpenSSL 3.0 can set a date in the past
  leaf expired "/CN=$HOST" "$san"
  : >index.txt
  echo 01 >serial
  printf '%s\n' '[ca]' default_ca=d '[d]' new_certs_dir=. database=index.txt serial=serial default_md=sha256 policy=p \
    '[p]' commonName=supplied '[x]' "$san" "$x509" >ca.cnf
  openssl ca -batch -config ca.cnf -extensions x -cert ca.pem -keyfile ca.key -in expired.csr -out expired.pem \
    -startdate 20200101000000Z -enddate 20200201000000Z -notext
  # shellcheck disable=SC2086
  openssl req -x509 -newkey $ec -nodes -keyout selfsigned.key -out selfsigned.pem -days 825 -subj "/CN=$HOST" -addext "$san"
  rm -f ./*.csr index.* serial* ca.cnf ca.srl 01.pem
  chmod 644 ./*.pem ./*.key
}
