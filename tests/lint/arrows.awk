# Include arrows: which folder may include which, and which file may name a library.
# A row of `may` is a folder; a row of `lib` is a pattern of headers and the only files that may include it.
BEGIN {
    may["base"] = " base "
    may["engine"] = " base engine "
    may["reactor"] = " base reactor "
    may["storage"] = " base reactor engine storage "
    may["connectors"] = " base reactor engine connectors "
    may["handlers"] = " base reactor engine storage handlers "
    may["app"] = " base reactor engine storage connectors handlers app "
    n = 0
    lib(++n, "^event2?/|^event\\.h", "^reactor/")
    lib(++n, "^(libpq-fe|pg_config|libpq/|postgresql/)", "^storage/pg[a-z_]*\\.c$")
    lib(++n, "^(hiredis/|hiredis\\.h|async\\.h|sds\\.h)", "^storage/rds[a-z_]*\\.c$")
    lib(++n, "^(libwebsockets|uv\\.h|uv/)", "^connectors/wsc[a-z_]*\\.c$")
    lib(++n, "^jsmn", "^reactor/json[a-z_]*\\.c$")
    lib(++n, "^argon2", "^base/password\\.c$")
    lib(++n, "^ini\\.h", "^reactor/config\\.c$")
    lib(++n, "^zlib\\.h", "^reactor/jblock\\.c$")
    lib(++n, "^openssl/", "^(base/crypto[a-z_]*|reactor/httpc[a-z_]*)\\.c$")
    io = "^(sys/(socket|un|epoll|select|file|wait|uio)|netinet/|arpa/|netdb|poll|fcntl|signal|termios)"
}
function lib(i, header, owner) { libs[i] = header; owners[i] = owner }
function complain(what) {
    printf "%s:%d: %s\n", FILENAME, FNR, what
    bad++
}
{ folder = FILENAME; sub(/\/.*/, "", folder) }
!(folder in may) { next }
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, part, "\"")
    target = part[2]
    to = target
    if (!sub(/\/.*/, "", to)) complain("include \"" target "\" is not written from the root")
    else if (index(may[folder], " " to " ") == 0) complain(folder " may not include " target)
    next
}
/^[ \t]*#[ \t]*include[ \t]*</ {
    target = $0
    sub(/^[^<]*</, "", target)
    sub(/>.*/, "", target)
    for (i = 1; i <= n; i++)
        if (target ~ libs[i] && FILENAME !~ owners[i]) complain("<" target "> belongs to " owners[i])
    if ((folder == "base" || folder == "engine") && target ~ io) complain(folder " does no I/O: <" target ">")
    if (folder == "engine" && target ~ /^(time|sys\/time|unistd)\.h/) complain("the engine has no clock and no system: <" target ">")
}
END { exit bad ? 1 : 0 }
