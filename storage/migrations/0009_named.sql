-- Making accounts and API keys under a name: asked again with it, they answer as the first time (see 0007).

-- 0 made, 1 there is one of that name.
CREATE FUNCTION operator_make(p_req uuid, p_user text, p_role text, p_hash text, p_must_change boolean, p_actor text,
                              p_actor_role text, p_request_id text, p_source_ip text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_req::text, 0));
    IF EXISTS (SELECT FROM audit_named(p_req)) THEN
        RETURN 0;
    END IF;
    RETURN operator_add(p_req, p_user, p_role, p_hash, p_must_change, p_actor, p_actor_role, p_request_id, p_source_ip);
END $$;

-- outcome as api_key_create() gives it; expires: of the key that was made under this name.
CREATE FUNCTION api_key_make(p_req uuid, p_id uuid, p_owner text, p_role text, p_name text, p_scopes text[], p_hash bytea,
                             p_issued bigint, p_expires bigint, p_max int, p_actor_role text, p_request_id text, p_source_ip text,
                             OUT outcome int, OUT expires bigint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_req::text, 0));
    SELECT 0, (a.after ->> 'expires_s')::bigint INTO outcome, expires FROM audit_named(p_req) a;
    IF NOT FOUND THEN
        outcome := api_key_create(p_req, p_id, p_owner, p_role, p_name, p_scopes, p_hash, p_issued, p_expires, p_max, p_actor_role,
                                  p_request_id, p_source_ip);
        expires := p_expires;
    END IF;
END $$;
