# config.ini names every key of the table in reactor/config.h, and no other. First file: config.h, second: config.ini.
FNR == NR {
    if ($0 ~ /^[ \t]*X\([a-z_]+, [a-z0-9_]+, (STR|INT|BOOL),/) {
        split($0, part, /[(,]/)
        gsub(/ /, "", part[2])
        gsub(/ /, "", part[3])
        want[part[2] "." part[3]] = 1
    }
    next
}
/^\[[a-z_]+\]/ {
    section = $0
    gsub(/[][ \t]/, "", section)
    next
}
/^[;#]? ?[a-z0-9_]+ *=/ {
    key = $0
    sub(/^[;#]? ?/, "", key)
    sub(/ *=.*/, "", key)
    if (!((section "." key) in want)) {
        printf "%s:%d: no such key: %s.%s\n", FILENAME, FNR, section, key
        bad++
    }
    have[section "." key] = 1
}
END {
    for (k in want)
        if (!(k in have)) {
            printf "config.ini: missing %s\n", k
            bad++
        }
    exit bad ? 1 : 0
}
