#!/usr/bin/env bash
# Everything that can be said about the sources without running them. One line per check; exit code 1 when one fails.
#   tests/lint/lint.sh [CHECK...]     checks: arrows sql config links format shell clang tidy cppcheck
# A check whose tool is not installed says so and is skipped: deploy/deps.sh lint installs them all.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${B:-build}
LAYERS=(base engine reactor storage connectors handlers app)
failed=0
jobs=$(nproc 2>/dev/null || echo 2)

sources() { # layers and tools that have any
    local d
    for d in "${LAYERS[@]}" sim; do
        compgen -G "$d/*.c"
    done
}

all_c() {
    sources
    compgen -G 'tests/unit/*.c'
    compgen -G 'tests/*.c'
    compgen -G 'bench/*.c'
}

check_arrows() {
    local files=() d
    for d in "${LAYERS[@]}"; do
        mapfile -t -O "${#files[@]}" files < <(compgen -G "$d/*.[ch]")
    done
    awk -f tests/lint/arrows.awk "${files[@]}"
}

check_sql() { # SQL lives in storage/ and is never put together from text
    ! grep -nEi '"[^"]*\b(select .* from|insert into|update [a-z_]+ set|delete from)\b' \
        handlers/*.c connectors/*.c engine/*.c reactor/*.c 2>/dev/null &&
        ! grep -nEi '(snprintf|sprintf|buf_fmt|asprintf)\(.*"[^"]*\b(select|insert|update|delete)\b' storage/*.c app/*.c 2>/dev/null
}

check_config() { awk -f tests/lint/config.awk reactor/config.h config.ini; }

check_links() { # relative links of the documents point at something
    local f target bad=0
    while IFS= read -r f; do
        while IFS= read -r target; do
            target=${target%%#*}
            [ -z "$target" ] || [ -e "$(dirname "$f")/$target" ] || {
                echo "$f: link to $target leads nowhere"
                bad=1
            }
        done < <(grep -oE '\]\([^)]+\)' "$f" | sed 's/^](//; s/)$//' | grep -vE '^(https?:|mailto:)')
    done < <(git ls-files '*.md')
    return $bad
}

check_format() {
    need clang-format || return 2
    local n=0 total=0 f
    while IFS= read -r f; do
        total=$((total + 1))
        clang-format --dry-run -Werror "$f" >/dev/null 2>&1 || n=$((n + 1))
    done < <(git ls-files '*.c' '*.h')
    echo "$n of $total files differ from .clang-format"
    [ "${FORMAT:-}" != strict ] || [ "$n" = 0 ]
}

check_shell() {
    need shellcheck || return 2
    shellcheck deploy/*.sh deploy/nginx/*.sh tests/lint/*.sh .ci/run
}

check_clang() {
    need clang || return 2
    MAKEFLAGS='' make -s --no-print-directory -j"$jobs" CC=clang B="$B/clang" all unit
}

flags() { printf '%s\n' -std=c11 -D_GNU_SOURCE -I. && pkg-config --cflags libevent libpq hiredis libwebsockets libuv openssl libargon2 inih | xargs -n1; }

check_tidy() {
    need clang-tidy || return 2
    local f=()
    mapfile -t f < <(flags)
    # shellcheck disable=SC2016
    sources | xargs -P "$jobs" -I{} sh -c 'f=$1; shift; out=$(clang-tidy --quiet --warnings-as-errors="*" "$f" -- "$@" 2>/dev/null) || { printf "%s\n" "$out"; exit 1; }' sh {} "${f[@]}"
}

check_cppcheck() {
    need cppcheck || return 2
    sources | xargs cppcheck -q -j "$jobs" --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 \
        --suppress=missingIncludeSystem --suppress=checkersReport -D_GNU_SOURCE -I. 2>&1
}

need() {
    command -v "$1" >/dev/null || {
        echo "$1 is not installed (deploy/deps.sh lint)"
        return 1
    }
}

one() {
    local out rc
    out=$("check_$1" 2>&1)
    rc=$?
    case $rc in
    0) printf '  ok    %-9s %s\n' "$1" "$(printf '%s' "$out" | head -n 1)" ;;
    2) printf '  skip  %-9s %s\n' "$1" "$out" ;;
    *)
        printf '  FAIL  %s\n' "$1"
        printf '%s\n' "$out" | head -n 60 | sed 's/^/        /'
        failed=$((failed + 1))
        ;;
    esac
}

checks=("$@")
[ ${#checks[@]} -gt 0 ] || checks=(arrows sql config links format shell clang tidy cppcheck)
for c in "${checks[@]}"; do
    one "$c"
done
[ "$failed" = 0 ] && echo "lint: ok" || echo "lint: $failed failed"
[ "$failed" = 0 ]
