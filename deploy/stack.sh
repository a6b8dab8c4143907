#!/usr/bin/env bash
# One private stack: PostgreSQL, Redis, the simulated venues and the server, each with its own data, pid and log under
# RUN_DIR. The system's own servers are never touched. `make run`, `make up` and `make down` call this; so do the tests.
#
#   deploy/stack.sh COMMAND
#     up | run | down      start in the background | in the foreground until Ctrl-C | stop, keep the data
#     status               what runs, exit code 0 when all of it does
#     destroy              stop and delete the data
#     start-server | stop-server | restart-server
#     pg-start | pg-stop | pg-kill | redis-start | redis-stop | redis-kill | sim-start | sim-stop
#     xorj ARGS...         the program with this stack's environment: deploy/stack.sh xorj token --role viewer
#
# Settings, from the environment:
#     RUN_DIR=.run  B=build (where the programs are)  PORT=8080 (0: a free one)  CONFIG=config.ini
#     FEEDS=sim|live|none  SIM_ARGS="--seed 7"  PLAY=FILE.jsonl PROTOCOL=P MARKETS=A,B (the simulator plays a recording;
#     SEEDS="M=FILE N=FILE": Bitstamp's REST books to it)  VENUES=all (Bitstamp, too)
#     SERVER_NOFILE=N (descriptor limit of the server)  SERVER_REDIS_PORT=N (it reaches Redis through a test's proxy)
#     START_NOWAIT=1 (a started server need only listen, not be ready)  STACK_QUICK=1 (throw-away data)  READY_S=60
#     every XORJ_<SECTION>_<KEY> reaches the server and is kept for restarts
set -u -o pipefail
umask 022

ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT" || exit 1
RUN_DIR=${RUN_DIR:-.run}
case $RUN_DIR in /*) ;; *) RUN_DIR=$ROOT/$RUN_DIR ;; esac
B=${B:-build}
PORT=${PORT:-8080}
FEEDS=${FEEDS:-sim}
CONFIG=${CONFIG:-config.ini}
READY_S=${READY_S:-60}
LOG=$RUN_DIR/log
export TZ=UTC

say() { printf '%s\n' "$*"; }
step() { printf '  %-12s %s\n' "$1" "$2"; }
warn() { printf '%s\n' "$*" >&2; }

# ---- processes ------------------------------------------------------------------------------------------------------

# Start time of a live process: with the pid it names one process for ever. Zombies count as gone: in a container
# nobody may collect them.
start_time() { # pid
    local s
    s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -r -a f <<<"${s##*) }"
    [ "${f[0]}" != Z ] && [ "${f[0]}" != X ] && printf '%s' "${f[19]}"
}

pid_of() { # part: prints the pid when that very process lives
    local pid was now
    [ -f "$RUN_DIR/$1.pid" ] && read -r pid was <"$RUN_DIR/$1.pid" || return 1
    now=$(start_time "$pid") && [ "$now" = "$was" ] && printf '%s' "$pid"
}

alive() { pid_of "$1" >/dev/null; }

# Runs a command as a session of its own, cut off from this terminal, with a small parent that notes how it ended.
launch() { # part, command...
    local part=$1
    shift
    [ -f "$LOG/$part.log" ] && mv -f "$LOG/$part.log" "$LOG/$part.log.1"
    rm -f "$RUN_DIR/$part.pid" "$RUN_DIR/$part.exit"
    # shellcheck disable=SC2016
    setsid bash -c '
        part=$1 dir=$2; shift 2
        trap "" INT HUP TERM
        (trap - INT HUP TERM; exec "$@") &
        pid=$!
        s=$(cat /proc/$pid/stat 2>/dev/null); s=${s##*) }; read -r -a f <<<"$s"
        echo "$pid ${f[19]:-0}" >"$dir/$part.pid.new" && mv -f "$dir/$part.pid.new" "$dir/$part.pid"
        wait $pid
        echo $? >"$dir/$part.exit"
    ' stack "$part" "$RUN_DIR" "$@" </dev/null >"$LOG/$part.log" 2>&1 9>&- &
    disown
    local i
    for ((i = 0; i < 200; i++)); do
        [ -f "$RUN_DIR/$part.pid" ] && return 0
        sleep 0.02
    done
    return 1
}

# Signal, wait, and at last SIGKILL.
stop_part() { # part, signal, seconds
    local pid i
    pid=$(pid_of "$1") || {
        rm -f "$RUN_DIR/$1.pid"
        return 0
    }
    kill -"$2" "$pid" 2>/dev/null
    for ((i = 0; i < $3 * 50; i++)); do
        alive "$1" || break
        sleep 0.02
    done
    if alive "$1"; then
        warn "$1 (pid $pid) did not stop within $3 s: SIGKILL"
        kill -KILL "$pid" 2>/dev/null
        for ((i = 0; i < 250; i++)); do
            alive "$1" || break
            sleep 0.02
        done
    fi
    rm -f "$RUN_DIR/$1.pid"
}

fail() { # part, words: names the part and shows the end of its log
    warn ""
    warn "FAILED: $1: $2"
    if [ -s "$LOG/$1.log" ]; then
        warn "--- end of ${LOG#"$ROOT"/}/$1.log"
        tail -n 20 "$LOG/$1.log" >&2
        warn "---"
    fi
    return 1
}

# Tries a check every 50 ms until it holds, the part has ended, or the time is over.
wait_for() { # part, seconds, check...
    local part=$1 i n=$(($2 * 20))
    shift 2
    for ((i = 0; i < n; i++)); do
        "$@" && return 0
        alive "$part" || return 1
        sleep 0.05
    done
    return 1
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() { # below the range the kernel hands out to clients
    local p i
    for ((i = 0; i < 50; i++)); do
        p=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        port_open "$p" || {
            printf '%s' "$p"
            return 0
        }
    done
    return 1
}

http_status() { # port, path
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
        printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n' "$2" "$1" >&3
        read -r -t 2 _ status _ <&3
        printf '%s' "${status:-}"
    ) 2>/dev/null
}

http_is() { [ "$(http_status "$1" "$2")" = "$3" ]; }

# ---- secrets and the environment ------------------------------------------------------------------------------------

random_hex() { openssl rand -hex "$1"; }

load_secrets() { # made once per RUN_DIR, so that a second run opens the same data and honours the same tokens
    if [ ! -s "$RUN_DIR/secrets" ]; then
        (
            umask 077
            printf 'PG_ADMIN_PW=%s\nPG_PW=%s\nREDIS_PW=%s\nJWT_SECRET=%s\n' \
                "$(random_hex 16)" "$(random_hex 16)" "$(random_hex 16)" "$(random_hex 32)" >"$RUN_DIR/secrets.new"
        ) && mv -f "$RUN_DIR/secrets.new" "$RUN_DIR/secrets"
    fi
    # shellcheck disable=SC1091
    . "$RUN_DIR/secrets"
}

saved() { cat "$RUN_DIR/$1" 2>/dev/null; }

urls() {
    DATABASE_URL="postgresql://xorj:$PG_PW@127.0.0.1:$(saved pg.port)/xorj"
    DATABASE_ADMIN_URL="postgresql://postgres:$PG_ADMIN_PW@127.0.0.1:$(saved pg.port)/xorj"
    REDIS_URL="redis://default:$REDIS_PW@127.0.0.1:$(saved redis.port)/0"
    export DATABASE_URL REDIS_URL JWT_SECRET
}

# The values here need no quoting: digits, hex, URLs.
write_env() {
    urls
    local sim_url=""
    [ -f "$RUN_DIR/sim/sim.env" ] && alive sim && sim_url=$(sed -n 's/^SIM_URL=//p' "$RUN_DIR/sim/sim.env")
    (
        umask 077
        {
            echo "XORJ_URL=http://127.0.0.1:$(saved server.port)"
            echo "DATABASE_URL=$DATABASE_URL"
            echo "REDIS_URL=$REDIS_URL"
            echo "SIM_URL=$sim_url"
            echo "XORJ_PID=$(pid_of server)"
            echo "SIM_PID=$(pid_of sim)"
            echo "JWT_SECRET=$JWT_SECRET"
            echo "DATABASE_ADMIN_URL=$DATABASE_ADMIN_URL"
            echo "PG_PID=$(pid_of postgres)"
            echo "REDIS_PID=$(pid_of redis)"
        } >"$RUN_DIR/env.new"
    ) && mv -f "$RUN_DIR/env.new" "$RUN_DIR/env"
}

# What `up` was given is kept, so that a restart later gives the server the same settings.
save_settings() {
    local v
    (
        umask 077
        {
            printf 'B=%q\nFEEDS=%q\nCONFIG=%q\nSERVER_NOFILE=%q\nSERVER_REDIS_PORT=%q\n' \
                "$B" "$FEEDS" "$CONFIG" "${SERVER_NOFILE:-}" "${SERVER_REDIS_PORT:-}"
            printf 'SIM_ARGS=%q\nPLAY=%q\nPROTOCOL=%q\nMARKETS=%q\nSEEDS=%q\nVENUES=%q\n' "${SIM_ARGS:-}" "${PLAY:-}" "${PROTOCOL:-}" "${MARKETS:-}" "${SEEDS:-}" "${VENUES:-}"
            while IFS= read -r v; do
                case $v in XORJ_URL | XORJ_PID) continue ;; esac
                printf 'export %s=%q\n' "$v" "${!v}"
            done < <(compgen -e | grep -E '^(XORJ_[A-Z0-9]+_[A-Z0-9_]+|(ASAN|UBSAN|LSAN)_OPTIONS)$')
        } >"$RUN_DIR/settings.new"
    ) && mv -f "$RUN_DIR/settings.new" "$RUN_DIR/settings"
}

load_settings() { # what is set now wins over what was kept
    [ -f "$RUN_DIR/settings" ] || return 0
    local now
    now=$(compgen -e | grep -E '^XORJ_[A-Z0-9]+_[A-Z0-9_]+$' | while IFS= read -r v; do printf 'export %s=%q\n' "$v" "${!v}"; done)
    [ -z "${SERVER_NOFILE+x}" ] || now="$now
$(printf 'SERVER_NOFILE=%q' "$SERVER_NOFILE")"
    # shellcheck disable=SC1091
    . "$RUN_DIR/settings"
    eval "$now"
    unset XORJ_URL XORJ_PID
}

# ---- PostgreSQL -----------------------------------------------------------------------------------------------------

pg_bin() { # the newest installed
    local d best="" v top=0
    for d in /usr/lib/postgresql/*/bin /usr/local/pgsql/bin; do
        if ! [ -x "$d/postgres" ] || ! [ -x "$d/initdb" ]; then continue; fi
        v=$("$d/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
        [ "$v" -gt "$top" ] && top=$v best=$d
    done
    if [ -z "$best" ] && command -v initdb >/dev/null; then
        best=$(dirname "$(command -v initdb)")
        top=$("$best/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    fi
    [ -n "$best" ] || {
        warn "no PostgreSQL server found; install it with deploy/deps.sh run"
        return 1
    }
    [ "$top" -ge 15 ] || warn "PostgreSQL $top found; 15 or later is what XORJ is made for"
    printf '%s' "$best"
}

# PostgreSQL refuses to run as root: then everything of it runs as the user its package made.
as_pg() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups "$@"
    else
        "$@"
    fi
}

# Where the data lies. RUN_DIR, unless the postgres user cannot get there (a clone under a private home directory).
pg_home() {
    local d
    if [ -s "$RUN_DIR/pg.home" ] && [ -d "$(saved pg.home)" ]; then
        saved pg.home
        return
    fi
    d=$RUN_DIR/pg
    mkdir -p "$d" && chmod 700 "$d" || return 1
    if [ "$(id -u)" = 0 ]; then
        chown postgres:postgres "$d"
        if ! as_pg test -w "$d" 2>/dev/null; then
            rmdir "$d"
            d=$(mktemp -d /var/tmp/xorj-pg-XXXXXXXX) && chown postgres:postgres "$d" || return 1
        fi
    fi
    printf '%s\n' "$d" >"$RUN_DIR/pg.home"
    printf '%s' "$d"
}

pg_init() { # home, bin
    local pw=$1/password sync=()
    [ -s "$1/data/PG_VERSION" ] && return 0
    rm -rf "$1/data"
    [ "${STACK_QUICK:-}" = 1 ] && sync=(--no-sync)
    (
        umask 077
        printf '%s\n' "$PG_ADMIN_PW" >"$pw"
    )
    [ "$(id -u)" = 0 ] && chown postgres "$pw"
    (cd "$1" && as_pg "$2/initdb" -D "$1/data" -U postgres --pwfile="$pw" --auth=scram-sha-256 --no-locale --encoding=UTF8 "${sync[@]}") \
        >"$LOG/postgres.log" 2>&1 </dev/null
    local rc=$?
    rm -f "$pw"
    [ $rc = 0 ] || rm -rf "$1/data"
    return $rc
}

pg_conf() { # home, port
    cat <<CONF
listen_addresses = '127.0.0.1'
port = $2
unix_socket_directories = ''
max_connections = 200
shared_buffers = 256MB
min_wal_size = 512MB
timezone = 'UTC'
log_timezone = 'UTC'
jit = off
CONF
}

pg_answers() { PGPASSWORD=$PG_ADMIN_PW PGCONNECT_TIMEOUT=2 "$1/psql" -h 127.0.0.1 -p "$2" -U postgres -d postgres -Atqc 'select 1' >/dev/null 2>&1; }

pg_launch() { # home, bin, port
    pg_conf "$1" "$3" >"$RUN_DIR/pg.conf.new"
    rm -f "$1/stack.conf"
    mv -f "$RUN_DIR/pg.conf.new" "$1/stack.conf" && chmod 644 "$1/stack.conf"
    # shellcheck disable=SC2016
    as_pg sh -c 'cd "$1" && grep -q stack.conf data/postgresql.conf || echo "include = '"'../stack.conf'"'" >>data/postgresql.conf' sh "$1" || return 1
    if [ "$(id -u)" = 0 ]; then
        # shellcheck disable=SC2016
        launch postgres sh -c 'cd "$1" && shift && exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"' sh "$1" "$2/postgres" -D "$1/data"
    else
        launch postgres "$2/postgres" -D "$1/data"
    fi
    printf '%s\n' "$3" >"$RUN_DIR/pg.port"
    wait_for postgres 60 pg_answers "$2" "$3"
}

pg_start() {
    alive postgres && return 0
    local bin home port try
    bin=$(pg_bin) || return 1
    home=$(pg_home) || {
        warn "no place for the database's files"
        return 1
    }
    pg_init "$home" "$bin" || {
        fail postgres "initdb"
        return 1
    }
    port=$(saved pg.port)
    for try in 1 2 3 4 5 6; do
        if [ -z "$port" ] || port_open "$port"; then port=$(free_port); fi
        pg_launch "$home" "$bin" "$port" && break
        stop_part postgres INT 10
        # After a SIGKILL the last of the old processes hold the shared memory for a moment.
        grep -q 'shared memory' "$LOG/postgres.log" || port=""
        if [ "$try" = 6 ] || ! grep -qE 'in use|shared memory' "$LOG/postgres.log"; then
            fail postgres "did not start"
            return 1
        fi
        sleep 0.5
    done
    pg_prepare "$bin" "$port" >>"$LOG/postgres.log" 2>&1 || {
        fail postgres "role and database could not be made"
        return 1
    }
}

pg_prepare() { # bin, port: the server's own role is no superuser
    [ -f "$RUN_DIR/pg.ready" ] && return 0
    local psql=("$1/psql" -h 127.0.0.1 -p "$2" -U postgres -v ON_ERROR_STOP=1 -Atq -d postgres)
    export PGPASSWORD=$PG_ADMIN_PW
    if [ "$("${psql[@]}" -c "select 1 from pg_roles where rolname='xorj'")" != 1 ]; then
        "${psql[@]}" <<<"create role xorj login password '$PG_PW'" || return 1
    fi
    if [ "$("${psql[@]}" -c "select 1 from pg_database where datname='xorj'")" != 1 ]; then
        "${psql[@]}" -c "create database xorj owner xorj" || return 1
    fi
    unset PGPASSWORD
    : >"$RUN_DIR/pg.ready"
}

# ---- Redis ----------------------------------------------------------------------------------------------------------

redis_conf() { # port
    cat <<CONF
bind 127.0.0.1
port $1
requirepass $REDIS_PW
dir "$RUN_DIR/redis"
daemonize no
save ""
appendonly no
maxmemory 256mb
maxmemory-policy allkeys-lru
CONF
}

redis_answers() { [ "$(REDISCLI_AUTH=$REDIS_PW redis-cli -h 127.0.0.1 -p "$1" ping 2>/dev/null)" = PONG ]; }

redis_start() {
    alive redis && return 0
    local port try
    mkdir -p "$RUN_DIR/redis"
    port=$(saved redis.port)
    for try in 1 2 3 4; do
        if [ -z "$port" ] || port_open "$port"; then port=$(free_port); fi
        (
            umask 077
            redis_conf "$port" >"$RUN_DIR/redis.conf"
        )
        printf '%s\n' "$port" >"$RUN_DIR/redis.port"
        launch redis redis-server "$RUN_DIR/redis.conf" && wait_for redis 20 redis_answers "$port" && return 0
        stop_part redis TERM 5
        port=""
        grep -q 'in use' "$LOG/redis.log" || break
    done
    fail redis "did not start"
}

# ---- simulated venues -----------------------------------------------------------------------------------------------

sim_answers() {
    [ -s "$RUN_DIR/sim/sim.env" ] || return 1
    local url
    url=$(sed -n 's/^SIM_URL=//p' "$RUN_DIR/sim/sim.env")
    [ -n "$url" ] && http_is "${url##*:}" /status 200
}

sim_start() {
    [ "$FEEDS" = sim ] || return 0
    alive sim && return 0
    local args=()
    [ -x "$B/xorj-sim" ] || {
        warn "$B/xorj-sim is not built: run make"
        return 1
    }
    mkdir -p "$RUN_DIR/sim"
    rm -f "$RUN_DIR/sim/sim.env"
    read -r -a args <<<"${SIM_ARGS:-}"
    [ -n "${PLAY:-}" ] && args+=(--play "$PLAY" --protocol "${PROTOCOL:?PLAY needs PROTOCOL}")
    local seed
    for seed in ${SEEDS:-}; do args+=(--rest "$seed"); done
    # After the first start the ports stay, so that a server which outlives its venues finds them again.
    [ -s "$RUN_DIR/sim.ports" ] && read -r -a ports <"$RUN_DIR/sim.ports" && args+=(--tls-port "${ports[0]}" --ctl-port "${ports[1]}")
    launch sim "$B/xorj-sim" --state "$RUN_DIR/sim" "${args[@]}"
    if ! wait_for sim 20 sim_answers; then
        stop_part sim TERM 3
        rm -f "$RUN_DIR/sim.ports"
        fail sim "did not start"
        return 1
    fi
    echo "$(sed -n 's/^SIM_TLS_PORT=//p' "$RUN_DIR/sim/sim.env") $(sed -n 's/^SIM_URL=.*:\([0-9]*\).*/\1/p' "$RUN_DIR/sim/sim.env")" \
        >"$RUN_DIR/sim.ports.new" && mv -f "$RUN_DIR/sim.ports.new" "$RUN_DIR/sim.ports"
}

default_env() { # name, value: exported unless the caller has set it
    [ -n "${!1+x}" ] || export "$1=$2"
}

feeds_env() {
    default_env XORJ_RECORD_DIR "$RUN_DIR/journal"
    case $FEEDS in
    none)
        default_env XORJ_FEEDS_ENABLED false
        default_env XORJ_WALLET_ENABLED false
        return
        ;;
    live) return ;;
    esac
    local at play=${PROTOCOL:-}
    [ -n "${PLAY:-}" ] || play=""
    at=127.0.0.1:$(sed -n 's/^SIM_TLS_PORT=//p' "$RUN_DIR/sim/sim.env")
    export XORJ_FEEDS_SIMULATED=true XORJ_FEEDS_CA_FILE=$RUN_DIR/sim/ca.pem
    # A recording is played to whoever subscribes: only the feed that speaks its protocol is opened then.
    local coinbase=wss://$at/coinbase gemini="wss://$at/gemini?snapshot=-1" rpc=https://$at/solana ws=wss://$at/solana bitstamp=""
    [ "${VENUES:-}" = all ] && bitstamp=wss://$at/bitstamp
    [ "${XORJ_FEEDS_COINBASE_PROTOCOL:-}" = coinbase-exchange ] && coinbase=wss://$at/coinbase-exchange
    [ "${XORJ_FEEDS_GEMINI_PROTOCOL:-}" = gemini-v2 ] && gemini=wss://$at/gemini-v2
    case $play in
    "") ;;
    coinbase-advanced | coinbase-exchange)
        gemini="" bitstamp="" rpc="" ws=""
        [ "$play" = coinbase-exchange ] && coinbase=wss://$at/coinbase-exchange
        default_env XORJ_FEEDS_COINBASE_PROTOCOL "$play"
        default_env XORJ_FEEDS_COINBASE_MARKETS "${MARKETS:-SOL-USD}"
        ;;
    gemini-depth | gemini-v2)
        coinbase="" bitstamp="" rpc="" ws=""
        [ "$play" = gemini-v2 ] && gemini=wss://$at/gemini-v2
        default_env XORJ_FEEDS_GEMINI_PROTOCOL "$play"
        default_env XORJ_FEEDS_GEMINI_MARKETS "${MARKETS:-solusd}"
        ;;
    bitstamp-diff | bitstamp-book)
        coinbase="" gemini="" bitstamp=wss://$at/bitstamp rpc="" ws=""
        default_env XORJ_FEEDS_BITSTAMP_PROTOCOL "$play"
        default_env XORJ_FEEDS_BITSTAMP_MARKETS "${MARKETS:-solusd}"
        ;;
    esac
    default_env XORJ_PRICES_COINGECKO_URL "https://$at/api/v3"
    default_env XORJ_PRICES_JUPITER_URL "https://$at"
    default_env XORJ_PRICES_PYTH_URL "https://$at"
    default_env XORJ_PRICES_BIRDEYE_URL "wss://$at/socket/solana?x-api-key=simulated"
    export XORJ_FEEDS_BITSTAMP_URL=$bitstamp XORJ_FEEDS_BITSTAMP_REST_URL=https://$at/bitstamp
    export XORJ_FEEDS_COINBASE_URL=$coinbase XORJ_FEEDS_GEMINI_URL=$gemini XORJ_FEEDS_SOLANA_RPC_URL=$rpc XORJ_FEEDS_SOLANA_WS_URL=$ws
}

# ---- the server -----------------------------------------------------------------------------------------------------

config_arg() { if [ -f "$CONFIG" ]; then printf '%s\n' -c "$CONFIG"; fi; }

xorj() { # any verb with the stack's environment
    local args=()
    mapfile -t args < <(config_arg)
    local verb=$1
    shift
    "$B/xorj" "$verb" "${args[@]}" "$@"
}

migrate() {
    [ -f "$LOG/migrate.log" ] && mv -f "$LOG/migrate.log" "$LOG/migrate.log.1"
    xorj migrate >"$LOG/migrate.log" 2>&1 </dev/null || fail migrate "the tables could not be brought in step"
}

server_port() { # printed by the program itself once it listens
    local p
    p=$(sed -n 's/^XORJ_PORT=\([0-9]*\)$/\1/p' "$LOG/server.log" 2>/dev/null | head -n 1)
    [ -n "$p" ] && printf '%s\n' "$p" >"$RUN_DIR/server.port"
}

server_start() { # port
    alive server && return 0
    local args=()
    [ -x "$B/xorj" ] || {
        warn "$B/xorj is not built: run make"
        return 1
    }
    if [ "$1" != 0 ] && port_open "$1"; then
        warn "FAILED: server: port $1 is taken by another program. Choose one with PORT=, or PORT=0 for any that is free."
        return 1
    fi
    urls
    [ -z "${SERVER_REDIS_PORT:-}" ] || export REDIS_URL="redis://default:$REDIS_PW@127.0.0.1:$SERVER_REDIS_PORT/0"
    feeds_env
    mapfile -t args < <(config_arg)
    export XORJ_SERVER_PORT=$1
    # shellcheck disable=SC2016
    launch server bash -c '[ -z "$1" ] || ulimit -n "$1" || exit 1; shift; exec "$@"' xorj "${SERVER_NOFILE:-}" "$B/xorj" serve "${args[@]}"
    if ! wait_for server "$READY_S" server_port; then
        stop_part server TERM 3
        fail server "did not listen"
        return 1
    fi
    [ -z "${START_NOWAIT:-}" ] || return 0
    if ! wait_for server "$READY_S" http_is "$(saved server.port)" /health/ready 200; then
        local said=""
        alive server && said=" (it answers $(http_status "$(saved server.port)" /health/ready))"
        stop_part server TERM 12
        fail server "not ready$said"
        return 1
    fi
}

# ---- the whole ------------------------------------------------------------------------------------------------------

prepare() {
    mkdir -p "$LOG" && chmod 700 "$LOG" || exit 1 # the server prints its first password there
    exec 9>"$RUN_DIR/lock"
    flock -w "${1:-3}" 9 || {
        warn "another command is at work in ${RUN_DIR#"$ROOT"/}"
        exit 1
    }
    load_secrets
}

all_alive() {
    alive postgres && alive redis && alive server && { [ "$FEEDS" != sim ] || alive sim; }
}

stop_all() {
    stop_part server TERM 12
    stop_part sim TERM 5
    stop_part redis TERM 5
    stop_part postgres INT 20
    rm -f "$RUN_DIR/env"
}

start_all() {
    unset XORJ_URL XORJ_PID
    case $FEEDS in sim | live | none) ;; *)
        warn "FEEDS is sim, live or none, not '$FEEDS'"
        return 1
        ;;
    esac
    save_settings
    step postgres "starting (data: $(d=$(pg_home) && printf '%s' "${d#"$ROOT"/}"))"
    pg_start || return 1
    step redis starting
    redis_start || return 1
    urls
    step migrate "tables"
    migrate || return 1
    if [ "$FEEDS" = sim ]; then
        step venues "simulated${PLAY:+, playing $PLAY}"
        sim_start || return 1
    else
        step venues "$FEEDS"
    fi
    step server starting
    server_start "$PORT" || return 1
    write_env
}

up() {
    if alive run && [ -f "$RUN_DIR/env" ] && alive server; then
        say "already up in another terminal: http://127.0.0.1:$(saved server.port) (settings in ${RUN_DIR#"$ROOT"/}/env)"
        return 0
    fi
    prepare 40 # a `make run` that is just ending may need that long
    if [ -f "$RUN_DIR/settings" ] && alive server; then
        (
            load_settings
            all_alive
        ) && {
            say "already up: http://127.0.0.1:$(saved server.port) (settings in ${RUN_DIR#"$ROOT"/}/env; make down stops it)"
            return 0
        }
        warn "parts of an earlier run are left: stopping them first"
        stop_all
    fi
    say "starting XORJ in ${RUN_DIR#"$ROOT"/}"
    trap 'stop_all; exit 130' INT TERM
    if ! start_all; then
        stop_all
        return 1
    fi
    say "ready: http://127.0.0.1:$(saved server.port) (settings in ${RUN_DIR#"$ROOT"/}/env; make down stops it)"
}

run_stop() {
    trap '' INT TERM HUP
    say ""
    say "stopping"
    stop_all
    say "stopped; the data stays in ${RUN_DIR#"$ROOT"/}"
    exit "${1:-0}"
}

run() {
    prepare
    if alive server; then
        warn "already running at http://127.0.0.1:$(saved server.port): stop it with make down, or choose another RUN_DIR= and PORT="
        return 1
    fi
    stop_all
    printf '%s %s\n' $$ "$(start_time $$)" >"$RUN_DIR/run.pid"
    trap 'run_stop 0' INT TERM HUP
    say "starting XORJ in ${RUN_DIR#"$ROOT"/}"
    if ! start_all; then
        stop_all
        return 1
    fi
    say ""
    say "XORJ is at http://127.0.0.1:$(saved server.port)   (Ctrl-C stops everything; logs in ${LOG#"$ROOT"/})"
    say "A line appears for each opportunity as it is found:"
    say ""
    # Ends with the server; its last words are still shown.
    tail --pid="$(pid_of server)" -s 0.2 -n +1 -F "$LOG/server.log" 2>/dev/null 9>&- | grep --line-buffered -v '^XORJ_PORT=' &
    while alive server; do
        sleep 0.5 9>&- &
        wait $!
    done
    fail server "ended by itself (exit code $(saved server.exit))"
    run_stop 1
}

status() {
    local part rc=0
    load_settings
    for part in postgres redis sim server; do
        [ "$part" = sim ] && [ "$FEEDS" != sim ] && continue
        if alive "$part"; then
            step "$part" "running, pid $(pid_of "$part")"
        else
            step "$part" "not running"
            rc=1
        fi
    done
    return $rc
}

part_command() { # one part of a stack that was started before
    [ -f "$RUN_DIR/settings" ] || {
        warn "no stack in ${RUN_DIR#"$ROOT"/}: make up first"
        return 1
    }
    prepare
    load_settings
    urls
    case $1 in
    start-server) server_start "$(saved server.port)" ;;
    stop-server) stop_part server TERM 12 ;;
    restart-server) stop_part server TERM 12 && server_start "$(saved server.port)" ;;
    pg-start) pg_start ;;
    pg-stop) stop_part postgres INT 20 ;;
    pg-kill) stop_part postgres KILL 5 ;;
    redis-start) redis_start ;;
    redis-stop) stop_part redis TERM 5 ;;
    redis-kill) stop_part redis KILL 5 ;;
    sim-start) sim_start ;;
    sim-stop) stop_part sim TERM 5 ;;
    esac || return 1
    write_env
}

down() {
    [ -d "$RUN_DIR" ] || return 0
    alive run || alive server || alive postgres || say "nothing runs in ${RUN_DIR#"$ROOT"/}"
    stop_part run TERM 40 # the one in the foreground takes the rest along
    prepare 40
    stop_all
}

destroy() {
    [ -d "$RUN_DIR" ] || return 0
    stop_part run TERM 40
    prepare 90
    local home
    home=$(saved pg.home)
    stop_all
    case $home in /var/tmp/xorj-pg-*) rm -rf "$home" ;; esac
    rm -rf "$RUN_DIR"
}

case ${1:-} in
up) up ;;
run) run ;;
down) down ;;
status) status ;;
destroy) destroy ;;
start-server | stop-server | restart-server | pg-start | pg-stop | pg-kill | redis-start | redis-stop | redis-kill | sim-start | sim-stop)
    part_command "$1"
    ;;
xorj)
    shift
    load_secrets && load_settings && urls
    xorj "$@"
    ;;
*)
    awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0" >&2
    exit 2
    ;;
esac
