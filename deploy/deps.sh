#!/usr/bin/env bash
# Installs what is missing, with apt-get. Looks at files and commands first: when nothing is missing it asks nobody,
# needs no network and takes a few milliseconds.
#
#   deploy/deps.sh [--check] GROUP...      groups: build run test lint bench
#
# Where the system's node is too old for the suites, a newer one comes from the npm registry into build/node, and the
# Makefile looks there first.
#
# --check only reports: exit code 1 and one line that names what is missing and the command that installs it.
# Packages that bring servers never leave one running or enabled: XORJ starts its own, private ones.
set -u

here=$(cd "$(dirname "$0")" && pwd)
check=0
node_dir=$here/../build/node
missing=()  # packages to install
why=()      # what was looked for, in words
along=()    # nothing waits for these; they come when others are installed anyway

need() { # package, words
    missing+=("$1")
    why+=("$2")
}

have_cmd() { command -v "$1" >/dev/null 2>&1; }
have_pc() { have_cmd pkg-config && pkg-config --exists "$1" 2>/dev/null; }
have_file() { # any of the globs
    local f
    for f in "$@"; do
        [ -e "$f" ] && return 0
    done
    return 1
}
need_cmd() { have_cmd "$1" || need "$2" "$1"; }
need_pc() { have_pc "$1" || need "$2" "$1"; }

need_uv_plugin() {
    have_file /usr/lib/*/libwebsockets-evlib_uv.so /usr/lib/libwebsockets-evlib_uv.so || need "$1" "libwebsockets over libuv"
}

group_build() {
    have_cmd "${CC:-gcc}" || need gcc "${CC:-gcc}"
    have_file /usr/include/stdlib.h || need libc6-dev "C headers"
    need_cmd make make
    need_cmd git git
    need_cmd pkg-config pkg-config
    need_pc libevent libevent-dev
    need_pc libpq libpq-dev
    need_pc hiredis libhiredis-dev
    need_pc libwebsockets libwebsockets-dev
    need_pc libuv libuv1-dev
    need_pc openssl libssl-dev
    need_pc libargon2 libargon2-dev
    need_pc inih libinih-dev
    need_pc zlib zlib1g-dev
    have_file /usr/include/jsmn.h /usr/local/include/jsmn.h || need libjsmn-dev jsmn.h
    # The event library plugin is its own package since libwebsockets 4.1; older ones have it inside the library.
    if have_pc libwebsockets; then
        pkg-config --atleast-version=4.1 libwebsockets && need_uv_plugin libwebsockets-evlib-uv
    else
        need_uv_plugin '?libwebsockets-evlib-uv'
    fi
}

group_run() {
    have_file /usr/lib/postgresql/*/bin/postgres || have_cmd postgres || need postgresql "PostgreSQL server"
    need_cmd redis-server redis-server
    need_cmd openssl openssl
    need_cmd setpriv util-linux
    have_cmd curl || along+=(curl) # for trying the routes by hand
    have_file /etc/ssl/certs/ca-certificates.crt || need ca-certificates "certificate authorities"
}

node_old() { # program: older than 18.15, or none at all
    ! "$1" -e 'const [a, b] = process.versions.node.split("."); process.exit(a * 100 + +b >= 1815 ? 0 : 1)' >/dev/null 2>&1
}

group_node() {
    need_cmd node nodejs
    need_cmd npm npm
    have_cmd node && node_old node && node_old "$node_dir/bin/node" && need '+node' "node 18.15 or later"
}

need_cmocka() { have_file /usr/include/cmocka.h /usr/local/include/cmocka.h || need libcmocka-dev cmocka.h; }

group_test() {
    group_build
    group_run
    need_cmocka
    have_cmd nginx || have_file /usr/sbin/nginx || along+=(nginx) # its suite is skipped without
    group_node
}

group_lint() {
    group_build
    need_cmocka
    need_cmd clang clang
    need_cmd clang-format clang-format
    need_cmd clang-tidy clang-tidy
    need_cmd cppcheck cppcheck
    need_cmd shellcheck shellcheck
}

group_bench() {
    group_build
    group_run
    group_node
    need_cmd wrk wrk
    have_file /usr/lib/postgresql/*/bin/pgbench || have_cmd pgbench || need postgresql-contrib pgbench
    have_cmd nginx || have_file /usr/sbin/nginx || need nginx nginx
}

say() { printf '%s\n' "$*" >&2; }

root=() # how a command runs as root, decided once

find_root() {
    [ "$(id -u)" = 0 ] && return 0
    if ! have_cmd sudo; then
        say "deps: missing: ${why[*]}. Not root and no sudo: run this once as root: deploy/deps.sh ${groups[*]}"
        return 1
    fi
    if sudo -n true 2>/dev/null; then
        root=(sudo -n)
    elif { : </dev/tty; } 2>/dev/null; then
        root=(sudo)
    else
        say "deps: missing: ${why[*]}. sudo wants a password and there is no terminal: run this once as root: deploy/deps.sh ${groups[*]}"
        return 1
    fi
}

as_root() { "${root[@]}" "$@"; }

apt() { # retried: mirrors and locks have bad moments
    local try
    for try in 1 2 3; do
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=180 -o Acquire::Retries=3 \
            -o Dpkg::Options::=--force-confold "$@" </dev/null && return 0
        say "deps: apt-get $1 failed (try $try of 3)"
        sleep $((try * 3))
    done
    return 1
}

has_candidate() {
    local c
    c=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p')
    [ -n "$c" ] && [ "$c" != "(none)" ]
}

# While packages are installed no service may start, and PostgreSQL makes no cluster of its own. Both marks are ours
# alone and go away again; an administrator's own policy is left as it is.
quiet_begin() {
    quiet_policy=0
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d' && quiet_policy=1
    fi
    as_root sh -c 'mkdir -p /etc/postgresql-common/createcluster.d &&
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/xorj.conf'
    had_redis=0
    have_cmd redis-server && had_redis=1
    had_nginx=0
    have_file /usr/sbin/nginx && had_nginx=1
}

quiet_end() {
    [ "$quiet_policy" = 1 ] && as_root rm -f /usr/sbin/policy-rc.d
    as_root rm -f /etc/postgresql-common/createcluster.d/xorj.conf
    if have_cmd systemctl; then # not at the next boot either
        [ "$had_redis" = 0 ] && have_cmd redis-server && as_root systemctl disable redis-server >/dev/null 2>&1
        [ "$had_nginx" = 0 ] && have_file /usr/sbin/nginx && as_root systemctl disable nginx >/dev/null 2>&1
    fi
    return 0
}

newer_node() { # the program alone, without install scripts
    local arch
    case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *)
        say "deps: node $(node --version) is too old and npm has none for $(uname -m): install 18.15 or later by hand"
        return 1
        ;;
    esac
    say "deps: node $(node --version) is too old for the suites; fetching 20 into build/node"
    mkdir -p "$node_dir" && npm install --prefix "$node_dir" --no-save --no-audit --no-fund --ignore-scripts \
        --loglevel=error "node-linux-$arch@20" </dev/null >&2 || return 1
    ln -sfn "node_modules/node-linux-$arch/bin" "$node_dir/bin"
}

install_missing() {
    case ${missing[*]} in '+node') newer_node; return ;; esac
    if ! have_cmd apt-get; then
        say "deps: this system has no apt-get. Install by hand: ${why[*]}"
        return 1
    fi
    local want=() p
    find_root || return 1
    say "deps: installing ${missing[*]}"
    quiet_begin
    trap quiet_end EXIT
    trap 'exit 130' INT TERM
    apt update || say "deps: the package lists could not be refreshed; trying with what is known"
    for p in "${missing[@]}"; do
        case $p in
        \?*) has_candidate "${p#\?}" && want+=("${p#\?}") ;; # optional
        +node) ;;                                            # after the packages
        *) want+=("$p") ;;
        esac
    done
    [ ${#want[@]} = 0 ] || want+=("${along[@]}")
    [ ${#want[@]} = 0 ] || apt install --no-install-recommends "${want[@]}" || {
        say "deps: installing failed: ${want[*]}"
        return 1
    }
    hash -r
    collect
    case ${missing[*]} in '+node') newer_node ;; esac
}

collect() {
    local g
    missing=()
    why=()
    along=()
    for g in "${groups[@]}"; do
        "group_$g"
    done
}

groups=()
for a in "$@"; do
    case $a in
    --check) check=1 ;;
    build | run | test | lint | bench) groups+=("$a") ;;
    *)
        say "usage: deploy/deps.sh [--check] build|run|test|lint|bench ..."
        exit 2
        ;;
    esac
done
[ ${#groups[@]} -gt 0 ] || groups=(build run)

collect
[ ${#missing[@]} = 0 ] && exit 0
if [ "$check" = 1 ]; then
    say "missing: ${why[*]}; install with: ${here#"$PWD"/}/deps.sh ${groups[*]}"
    exit 1
fi
install_missing || exit 1
hash -r
collect
if [ ${#missing[@]} -gt 0 ]; then
    say "deps: still missing after installing: ${why[*]}"
    exit 1
fi
