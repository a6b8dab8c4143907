# Writes the table of migrations.h from the files named on the command line, a C string per line of SQL.
BEGIN {
    print "#include \"storage/migrations.h\"\n\nconst migration_t migrations[] = {"
}
FNR == 1 {
    if (NR > 1) print "    },"
    file = FILENAME
    sub(/.*\//, "", file)
    version = substr(file, 1, 4) + 0
    name = file
    sub(/^[0-9]+_/, "", name)
    sub(/\.sql$/, "", name)
    printf "    {%d, \"%s\",\n", version, name
}
{
    gsub(/\\/, "\\\\")
    gsub(/"/, "\\\"")
    printf "     \"%s\\n\"\n", $0
}
END {
    print "    },\n};\n\nconst unsigned migrations_n = sizeof migrations / sizeof *migrations;"
}
