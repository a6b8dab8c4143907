-- When a wallet session was last used, give or take a twentieth of its idle time; and a session that follows another.

ALTER TABLE sessions ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();

-- The old session ends and a new one takes its place until the same end: a session never outlives its sign-in's day. Asked
-- again with the same p_new it gives the same answer. No row of this name that lives: NULL.
CREATE FUNCTION session_refresh(p_req uuid, p_old uuid, p_new uuid, p_issued bigint, p_actor text, p_role text,
                                p_request_id text, p_source_ip text, OUT uid uuid, OUT expires bigint)
LANGUAGE plpgsql AS $$
DECLARE
    was sessions;
BEGIN
    SELECT s.user_id, extract(epoch FROM s.expires_at)::bigint INTO uid, expires FROM sessions s WHERE s.jti = p_new;
    IF FOUND THEN
        RETURN;
    END IF;
    UPDATE sessions s SET revoked_at = now()
    WHERE s.jti = p_old AND s.kind = 'wallet' AND s.revoked_at IS NULL AND s.expires_at > now() RETURNING s.* INTO was;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO sessions (jti, user_id, wallet, issued_at, expires_at)
    VALUES (p_new, was.user_id, was.wallet, least(to_timestamp(p_issued), was.expires_at - interval '1 s'), was.expires_at);
    PERFORM audit_append(p_req, p_actor, p_role, 'session.refresh', p_new::text, json_build_object('session', p_old),
                         json_build_object('wallet', was.wallet, 'expires_s', extract(epoch FROM was.expires_at)::bigint),
                         p_request_id, p_source_ip);
    uid := was.user_id;
    expires := extract(epoch FROM was.expires_at)::bigint;
END $$;
