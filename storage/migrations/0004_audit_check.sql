-- The chain is walked in slices, so that a log of any length can be checked with progress and from a running server.

-- Checks whole batches from seq p_from on, about p_rows rows; p_prev is the hash the chain has come to before p_from
-- (sha256('xorj audit') before seq 1). bad_seq NULL: all of it fits, the walk goes on at next_seq with next_hash; done:
-- next_seq - 1 is where the head stands. One snapshot, so rows appended meanwhile do not count.
CREATE FUNCTION audit_check(p_from bigint, p_prev bytea, p_rows int, OUT bad_seq bigint, OUT what text,
                            OUT next_seq bigint, OUT next_hash bytea, OUT done boolean)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    r audit_log;
    h audit_head;
    hashes bytea := '';
    batch bytea := p_prev; -- what the rows of the batch at hand carry as prev_hash
    lo bigint := p_from;   -- its first seq
    seq bigint := p_from;
BEGIN
    done := false;
    FOR r IN SELECT * FROM audit_log a WHERE a.seq >= p_from ORDER BY a.seq LOOP
        IF r.seq <> seq THEN
            bad_seq := seq;
            what := 'row missing';
            RETURN;
        END IF;
        IF r.prev_hash <> batch THEN
            batch := sha256(batch || hashes);
            IF r.prev_hash <> batch THEN
                bad_seq := r.seq;
                what := format('chain broken: this row does not follow from rows %s to %s', lo, r.seq - 1);
                RETURN;
            END IF;
            IF seq - p_from >= p_rows THEN
                next_seq := seq;
                next_hash := batch;
                RETURN;
            END IF;
            hashes := '';
            lo := seq;
        END IF;
        IF r.hash <> sha256(r.prev_hash || convert_to(audit_text(r.seq, r.at, r.actor, r.role, r.action, r.target, r.before,
                                                                 r.after, r.request_id, r.source_ip), 'UTF8'))
           OR strpos(concat(r.actor, r.role, r.action, r.target, r.before, r.after, r.request_id, r.source_ip), E'\n') > 0 THEN
            bad_seq := r.seq;
            what := 'row changed';
            RETURN;
        END IF;
        hashes := hashes || r.hash;
        seq := seq + 1;
    END LOOP;
    IF hashes <> '' THEN
        batch := sha256(batch || hashes);
    END IF;
    next_seq := seq;
    next_hash := batch;
    done := true;
    SELECT * INTO h FROM audit_head WHERE one;
    IF h.seq IS NULL OR h.seq < seq - 1 THEN
        bad_seq := coalesce(h.seq, 0);
        what := 'head does not match: it was put back';
    ELSIF h.seq > seq - 1 THEN
        bad_seq := seq;
        what := 'row missing';
    ELSIF h.hash <> batch THEN
        bad_seq := seq - 1;
        what := format('chain broken: rows %s to %s do not give the hash of the head', lo, seq - 1);
    END IF;
END $$;

-- Walks the whole chain at once. No row: it is intact. One row: the first seq that does not fit and what is wrong with it.
CREATE OR REPLACE FUNCTION audit_verify() RETURNS TABLE (bad_seq bigint, what text) LANGUAGE sql STABLE AS $$
    SELECT c.bad_seq, c.what FROM audit_check(1, sha256('xorj audit'::bytea), 2147483647) c WHERE c.bad_seq IS NOT NULL
$$;
