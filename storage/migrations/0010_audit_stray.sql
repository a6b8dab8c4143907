-- The walk begins at row 1: a row put in before it was not met, and yet shown by the list of the log.

ALTER FUNCTION audit_check(bigint, bytea, int) RENAME TO audit_walk;

-- As before (0004), and no row stands before the first.
CREATE FUNCTION audit_check(p_from bigint, p_prev bytea, p_rows int, OUT bad_seq bigint, OUT what text,
                            OUT next_seq bigint, OUT next_hash bytea, OUT done boolean)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT min(a.seq) INTO bad_seq FROM audit_log a WHERE a.seq < 1;
    IF bad_seq IS NOT NULL THEN
        what := 'row before the first';
        done := false;
        RETURN;
    END IF;
    SELECT * INTO bad_seq, what, next_seq, next_hash, done FROM audit_walk(p_from, p_prev, p_rows);
END $$;
