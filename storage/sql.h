/* Every statement of the running server, in one table: id, the links that prepare it, number of parameters, text.
 * Nothing is ever built from input: values are parameters, lists are arrays. Internal to storage/. */
#ifndef XORJ_STORAGE_SQL_H
#define XORJ_STORAGE_SQL_H

enum { SQL_LANE_WRITER = 1, SQL_LANE_SLOW = 2, SQL_LANE_READER = 4, SQL_LANE_HOUSE = 8, SQL_LANE_BUS = 16 };
#define LANES_BOT (SQL_LANE_WRITER | SQL_LANE_SLOW)

/* BOT_BATCH: $1..$3 one entry per wallet (wallet, last value, number of changes), $4..$11 one per request: wallet, value,
 * value of the request before it in this batch (NULL: the row's), how many of the wallet's requests come after it, actor
 * (NULL: the wallet), role, request id, address; $12 the batch's name. One row comes back: the time, and the versions in
 * the order of the requests. The head is locked only when every wallet's row is ours: its scan needs the count of the
 * upsert's rows. The hash spells what audit_text() spells; audit_verify() notices when they part.
 *
 * The join is FULL although both sides always match: that leaves the planner only the linear ways.
 *
 * BOT_UPDATE: the same for a batch of distinct wallets in ascending order, the common case: one entry per request, fewer
 * arrays, no join; $7 is the batch's name. A wallet without a row fails the batch (division by zero) before anything is
 * kept: the batch's requests then go one by one. The order of the entries is the order of the row locks and of the audit rows (nested loop
 * over the array: the links say enable_seqscan=off), so nothing is sorted.
 *
 * OPP_ORPHANS: a desk that was killed left rows open; the next one ends them when they were last heard of.
 *
 * BUS_*: storage/bus.c. The name of a link that listens is what BUS_MEMBERS counts; more than one, and the fence goes out.
 *
 * OPP_PUT: a row already closed is not opened again by a late update. */
#define SQL_LIST(X)                                                                                                        \
    X(SQL_PING, SQL_LANE_READER | SQL_LANE_HOUSE, 0, "SELECT 1")                                                           \
    X(SQL_BOT_BATCH, LANES_BOT, 12,                                                                                        \
      "WITH up AS ("                                                                                                       \
      " INSERT INTO bot_states AS b (user_vault_address, is_enabled, version)"                                             \
      " SELECT w, e, n FROM unnest($1::text[], $2::bool[], $3::int[]) AS u(w, e, n) ORDER BY w COLLATE \"C\""              \
      " ON CONFLICT (user_vault_address) DO UPDATE SET is_enabled = EXCLUDED.is_enabled, was_enabled = b.is_enabled,"      \
      " version = b.version + EXCLUDED.version, updated_at = now()"                                                        \
      " RETURNING user_vault_address AS w, was_enabled AS was, version AS v"                                               \
      "), head AS MATERIALIZED ("                                                                                          \
      " SELECT seq, hash, us, us::text AS us_text FROM audit_head,"                                                        \
      " (SELECT (extract(epoch FROM now()) * 1000000)::bigint AS us) t"                                                    \
      " WHERE one AND (SELECT count(*) FROM up) > 0 FOR UPDATE OF audit_head"                                              \
      "), name AS ("                                                                                                       \
      " INSERT INTO audit_batch (id, lo, n) SELECT ($12::uuid[])[1], seq + 1, cardinality($4::text[]) FROM head"           \
      "), rows AS MATERIALIZED ("                                                                                          \
      " SELECT q.ord, q.w, coalesce(q.actor, q.w) AS actor, q.role, q.rid, q.ip, up.v - q.back AS v,"                      \
      " '{\"enabled\": ' || CASE WHEN coalesce(q.was, up.was) THEN 'true' ELSE 'false' END"                                \
      " || ', \"version\": ' || (up.v - q.back - 1) || '}' AS before,"                                                     \
      " '{\"enabled\": ' || CASE WHEN q.e THEN 'true' ELSE 'false' END"                                                    \
      " || ', \"version\": ' || (up.v - q.back) || '}' AS after"                                                           \
      " FROM unnest($4::text[], $5::bool[], $6::bool[], $7::int[], $8::text[], $9::text[], $10::text[], $11::text[])"      \
      " WITH ORDINALITY AS q(w, e, was, back, actor, role, rid, ip, ord) FULL JOIN up ON up.w = q.w"                       \
      "), ins AS ("                                                                                                        \
      " INSERT INTO audit_log"                                                                                             \
      " (seq, at, actor, role, action, target, before, after, request_id, source_ip, prev_hash, hash)"                     \
      " SELECT head.seq + ord, now(), actor, role, 'bot.set_enabled', w, before::json, after::json, rid, ip,"              \
      " head.hash, sha256(head.hash || convert_to((head.seq + ord)::text || E'\\n' || us_text || E'\\n' || actor || E'\\n'" \
      " || role || E'\\nbot.set_enabled\\n' || w || E'\\n' || before || E'\\n' || after || E'\\n' || rid || E'\\n'"        \
      " || ip, 'UTF8'))"                                                                                                   \
      " FROM rows CROSS JOIN head RETURNING seq, hash"                                                                     \
      "), tail AS ("                                                                                                       \
      " UPDATE audit_head SET seq = t.seq, hash = t.hash"                                                                  \
      " FROM (SELECT max(seq) AS seq,"                                                                                     \
      " sha256((SELECT hash FROM head) || string_agg(hash, ''::bytea ORDER BY seq)) AS hash FROM ins) t WHERE one"         \
      ") SELECT max(us), array_agg(v ORDER BY ord) FROM rows CROSS JOIN head")                                             \
    X(SQL_BOT_UPDATE, LANES_BOT, 7,                                                                                        \
      "WITH rows AS MATERIALIZED ("                                                                                        \
      " UPDATE bot_states b SET is_enabled = q.e, was_enabled = b.is_enabled, version = b.version + 1, updated_at = now()" \
      " FROM unnest($1::text[], $2::bool[], $3::text[], $4::text[], $5::text[], $6::text[])"                               \
      " WITH ORDINALITY AS q(w, e, actor, role, rid, ip, ord) WHERE b.user_vault_address = q.w"                            \
      " RETURNING q.ord, q.w, coalesce(q.actor, q.w) AS actor, q.role, q.rid, q.ip, b.version AS v,"                       \
      " '{\"enabled\": ' || CASE WHEN b.was_enabled THEN 'true' ELSE 'false' END"                                          \
      " || ', \"version\": ' || (b.version - 1) || '}' AS before,"                                                         \
      " '{\"enabled\": ' || CASE WHEN q.e THEN 'true' ELSE 'false' END || ', \"version\": ' || b.version || '}' AS after"  \
      "), head AS MATERIALIZED ("                                                                                          \
      " SELECT seq, hash, us, us::text AS us_text FROM audit_head,"                                                        \
      " (SELECT (extract(epoch FROM now()) * 1000000)::bigint AS us) t"                                                    \
      " WHERE one AND (SELECT 1 / (count(*) = cardinality($1::text[]))::int FROM rows) = 1 FOR UPDATE OF audit_head"       \
      "), name AS ("                                                                                                       \
      " INSERT INTO audit_batch (id, lo, n) SELECT ($7::uuid[])[1], seq + 1, cardinality($1::text[]) FROM head"            \
      "), ins AS ("                                                                                                        \
      " INSERT INTO audit_log"                                                                                             \
      " (seq, at, actor, role, action, target, before, after, request_id, source_ip, prev_hash, hash)"                     \
      " SELECT head.seq + ord, now(), actor, role, 'bot.set_enabled', w, before::json, after::json, rid, ip, head.hash,"   \
      " sha256(head.hash || convert_to((head.seq + ord)::text || E'\\n' || us_text || E'\\n' || actor || E'\\n' || role"   \
      " || E'\\nbot.set_enabled\\n' || w || E'\\n' || before || E'\\n' || after || E'\\n' || rid || E'\\n' || ip, 'UTF8'))" \
      " FROM rows CROSS JOIN head RETURNING seq, hash"                                                                     \
      "), tail AS ("                                                                                                       \
      " UPDATE audit_head SET seq = t.seq, hash = t.hash"                                                                  \
      " FROM (SELECT max(seq) AS seq,"                                                                                     \
      " sha256((SELECT hash FROM head) || string_agg(hash, ''::bytea)) AS hash FROM ins) t"                                \
      " WHERE one"                                                                                                         \
      ") SELECT max(us), array_agg(v ORDER BY ord) FROM rows CROSS JOIN head")                                             \
    X(SQL_BOT_ONE, LANES_BOT, 10,                                                                                          \
      "SELECT outcome, is_enabled, version, updated_us"                                                                    \
      " FROM bot_set_one($1::uuid, $2::uuid, $3::bigint, $4, $5::bool, $6::bigint, $7, $8, $9, $10)")                      \
    X(SQL_BOT_PROBE, SQL_LANE_WRITER, 1,                                                                                   \
      "SELECT w, s.user_vault_address IS NULL AND EXISTS (SELECT FROM bot_states x WHERE x.user_vault_address = w)"        \
      " FROM unnest($1::text[]) AS q(w) LEFT JOIN (SELECT user_vault_address FROM bot_states"                              \
      " WHERE user_vault_address = ANY ($1::text[]) FOR UPDATE SKIP LOCKED) s ON s.user_vault_address = w")                \
    X(SQL_BOT_GET, SQL_LANE_READER, 1,                                                                                     \
      "SELECT u.id, b.is_enabled, b.version, us(b.updated_at), us(b.last_execution_at), b.current_strategy,"               \
      " s.risk_profile, trim_scale(s.max_trade_amount), trim_scale(s.slippage_tolerance), s.settings ->> 'investmentAmount',"\
      " s.version, us(s.updated_at), u.vault_address, us(u.created_at), (SELECT status FROM trades"                        \
      " WHERE user_vault_address = k.w AND status IN ('CONFIRMED', 'FAILED') ORDER BY created_at DESC LIMIT 1),"           \
      " g.paused, g.killed, g.closing, o.paused, o.killed, o.closing, h.paused, h.killed, h.closing"                       \
      " FROM (SELECT $1::text COLLATE \"C\" AS w) k LEFT JOIN users u ON u.wallet_address = k.w"                           \
      " LEFT JOIN bot_states b ON b.user_vault_address = k.w LEFT JOIN user_settings s ON s.wallet_address = k.w"          \
      " LEFT JOIN risk_state g ON g.scope = 'global' LEFT JOIN risk_state o ON o.scope = 'operator:' || k.w"               \
      " LEFT JOIN risk_state h ON h.scope = 'wallet:' || k.w")                                                             \
    X(SQL_SESSION_GET, SQL_LANE_READER, 1,                                                                                 \
      "SELECT coalesce(s.user_id::text, s.operator), s.wallet, extract(epoch FROM s.issued_at)::bigint,"                   \
      " extract(epoch FROM s.expires_at)::bigint, s.revoked_at IS NOT NULL,"                                               \
      " CASE WHEN s.kind = 'wallet' THEN us(s.seen_at) ELSE 0 END, s.kind = 'operator' AND coalesce(o.must_change, false)" \
      " FROM sessions s LEFT JOIN operators o ON o.username = s.operator WHERE s.jti = $1::uuid")                          \
    X(SQL_SESSION_CREATE, SQL_LANE_READER, 10,                                                                             \
      "SELECT session_create($1::uuid, $2::uuid, $3, $4::bigint, $5::bigint, $6::bool, $7, $8, $9, $10)")                  \
    X(SQL_SESSION_REFRESH, SQL_LANE_READER, 8,                                                                             \
      "SELECT * FROM session_refresh($1::uuid, $2::uuid, $3::uuid, $4::bigint, $5, $6, $7, $8)")                           \
    X(SQL_SESSION_REVOKE, SQL_LANE_READER, 6, "SELECT session_revoke($1::uuid, $2::uuid, $3, $4, $5, $6)")                 \
    X(SQL_SESSIONS_SEEN, SQL_LANE_HOUSE, 1,                                                                                \
      "UPDATE sessions s SET seen_at = now() FROM (SELECT jti FROM sessions WHERE jti = ANY ($1::uuid[])"                  \
      " AND revoked_at IS NULL FOR UPDATE SKIP LOCKED) q WHERE s.jti = q.jti")                                             \
    X(SQL_SESSIONS_REVOKED, SQL_LANE_HOUSE, 1,                                                                             \
      "SELECT jti, us(revoked_at) FROM sessions WHERE revoked_at >= to_timestamp($1::bigint / 1e6)"                        \
      " AND expires_at > now() ORDER BY revoked_at LIMIT 10000")                                                           \
    X(SQL_NONCE_CONSUME, SQL_LANE_READER, 4, "SELECT nonce_consume($1::uuid, $2, $3, $4::bigint)")                         \
    X(SQL_LOGIN_BEGIN, SQL_LANE_READER, 5, "SELECT * FROM login_begin($1, $2, $3::int, $4::int, $5::int)")                 \
    X(SQL_LOGIN_FORGIVE, SQL_LANE_READER, 2, "SELECT login_forgive($1, $2)")                                              \
    X(SQL_OP_LOGIN, SQL_LANE_READER, 10,                                                                                   \
      "SELECT * FROM operator_login($1::uuid, $2, $3, $4::bigint, $5::uuid, $6::bytea, $7::bigint, $8::bigint, $9, $10)")  \
    X(SQL_OP_REFRESH, SQL_LANE_READER, 6,                                                                                  \
      "SELECT * FROM operator_refresh($1::uuid, $2::bytea, $3::bytea, $4::bigint, $5, $6)")                                \
    X(SQL_OP_GET, SQL_LANE_READER, 1,                                                                                      \
      "SELECT username, role, must_change, totp_on, us(created_at), us(last_login_at), encode(totp_secret, 'hex'),"        \
      " totp_used FROM operators WHERE username = $1")                                                                     \
    X(SQL_OP_LIST, SQL_LANE_READER, 2,                                                                                     \
      "SELECT username, role, must_change, totp_on, us(created_at), us(last_login_at), n"                                  \
      " FROM (SELECT count(*) AS n FROM operators) c LEFT JOIN (SELECT * FROM operators WHERE username > $1"               \
      " ORDER BY username LIMIT $2::int) o ON true ORDER BY username")                                                     \
    X(SQL_OP_ADD, SQL_LANE_READER, 9, "SELECT operator_make($1::uuid, $2, $3, $4, $5::bool, $6, $7, $8, $9)")               \
    X(SQL_OP_ANY, SQL_LANE_READER, 0, "SELECT EXISTS (SELECT FROM operators)")                                             \
    X(SQL_OP_FIRST, SQL_LANE_READER, 3, "SELECT operator_first($1::uuid, $2, $3)")                                         \
    X(SQL_OP_DELETE, SQL_LANE_READER, 6, "SELECT * FROM operator_delete($1::uuid, $2, $3, $4, $5, $6)")                    \
    X(SQL_OP_PASSWORD, SQL_LANE_READER, 10,                                                                                \
      "SELECT * FROM operator_password($1::uuid, $2, $3, $4, $5::bool, $6::uuid, $7, $8, $9, $10)")                        \
    X(SQL_OP_TOTP, SQL_LANE_READER, 7, "SELECT operator_totp($1::uuid, $2, $3::bytea, $4::bigint, $5, $6, $7)")            \
    X(SQL_KEY_GET, SQL_LANE_READER, 1,                                                                                     \
      "SELECT encode(k.hash, 'hex'), k.owner, s.role, extract(epoch FROM s.issued_at)::bigint,"                            \
      " extract(epoch FROM s.expires_at)::bigint"                                                                          \
      " FROM api_keys k JOIN sessions s ON s.jti = k.id WHERE k.id = $1::uuid AND s.revoked_at IS NULL")                   \
    X(SQL_KEY_USED, SQL_LANE_HOUSE, 1, "UPDATE api_keys SET last_used_at = now() WHERE id = $1::uuid")                     \
    X(SQL_KEY_CREATE, SQL_LANE_READER, 13,                                                                                 \
      "SELECT outcome, expires FROM api_key_make($1::uuid, $2::uuid, $3, $4, $5, $6::text[], $7::bytea, $8::bigint,"       \
      " $9::bigint, $10::int, $11, $12, $13)")                                                                             \
    X(SQL_KEY_LIST, SQL_LANE_READER, 4,                                                                                    \
      "SELECT k.id, k.name, k.owner, array_to_string(k.scopes, ' '), us(k.created_at), us(k.expires_at),"                  \
      " us(k.last_used_at) FROM api_keys k JOIN sessions s ON s.jti = k.id WHERE s.revoked_at IS NULL"                     \
      " AND k.expires_at > now() AND ($1::text IS NULL OR k.owner = $1)"                                                   \
      " AND ($2::bigint = 0 OR (us(k.created_at), k.id) < ($2, $3::uuid))"                                                 \
      " ORDER BY us(k.created_at) DESC, k.id DESC LIMIT $4::int")                                                          \
    X(SQL_KEY_COUNT, SQL_LANE_READER, 1,                                                                                   \
      "SELECT count(*) FROM api_keys k JOIN sessions s ON s.jti = k.id WHERE s.revoked_at IS NULL"                         \
      " AND k.expires_at > now() AND ($1::text IS NULL OR k.owner = $1)")                                                  \
    X(SQL_KEY_REVOKE, SQL_LANE_READER, 7, "SELECT api_key_revoke($1::uuid, $2::uuid, $3, $4, $5, $6, $7)")                 \
    X(SQL_PURGE, SQL_LANE_HOUSE, 0,                                                                                        \
      "WITH n AS (DELETE FROM used_nonces WHERE nonce IN (SELECT nonce FROM used_nonces"                                   \
      " WHERE expires_at < now() - interval '1 day' LIMIT 1000) RETURNING 1),"                                             \
      " s AS (DELETE FROM sessions WHERE jti IN (SELECT jti FROM sessions"                                                 \
      " WHERE expires_at < now() - interval '30 days' LIMIT 1000) RETURNING 1),"                                           \
      " b AS (DELETE FROM audit_batch WHERE id IN (SELECT id FROM audit_batch"                                             \
      " WHERE at < now() - interval '1 day' LIMIT 100000) RETURNING 1),"                                                    \
      " i AS (DELETE FROM idempotency_keys WHERE (principal, key) IN (SELECT principal, key FROM idempotency_keys"         \
      " WHERE expires_at < now() LIMIT 10000) RETURNING 1),"                                                               \
      " r AS (DELETE FROM refresh_tokens WHERE hash IN (SELECT hash FROM refresh_tokens"                                   \
      " WHERE expires_at < now() - interval '1 day' LIMIT 1000) RETURNING 1),"                                             \
      " l AS (DELETE FROM login_attempts WHERE key IN (SELECT key FROM login_attempts"                                     \
      " WHERE last < now() - interval '1 day' LIMIT 10000) RETURNING 1)"                                                   \
      " SELECT (SELECT count(*) FROM n), (SELECT count(*) FROM s)")                                                        \
    X(SQL_AUDIT_LIST, SQL_LANE_READER, 6,                                                                                  \
      "SELECT seq, us(at), actor, role, action, target, before, after, request_id, source_ip,"                             \
      " encode(prev_hash, 'hex'), encode(hash, 'hex') FROM audit_log WHERE ($1::text IS NULL OR actor = $1) AND ($2::text IS NULL OR action = $2)"\
      " AND ($3::bigint = 0 OR at >= 'epoch'::timestamptz + $3 * interval '1 us')"                                         \
      " AND ($4::bigint = 0 OR at < 'epoch'::timestamptz + $4 * interval '1 us')"                                          \
      " AND ($5::bigint = 0 OR seq < $5) ORDER BY seq DESC LIMIT $6::int")                                                 \
    X(SQL_AUDIT_COUNT, SQL_LANE_READER, 6,                                                                                 \
      "SELECT count(*) FROM (SELECT 1 FROM audit_log WHERE ($1::text IS NULL OR actor = $1) AND ($2::text IS NULL OR action = $2)"\
      " AND ($3::bigint = 0 OR at >= 'epoch'::timestamptz + $3 * interval '1 us')"                                         \
      " AND ($4::bigint = 0 OR at < 'epoch'::timestamptz + $4 * interval '1 us')"                                          \
      " AND $5::bigint >= 0 AND $6::int > 0 LIMIT 100000) c")                                                              \
    X(SQL_AUDIT_CHECK, SQL_LANE_READER, 3,                                                                                 \
      "SELECT bad_seq, what, next_seq, next_hash, done FROM audit_check($1::bigint, $2::bytea, $3::int)")                  \
    X(SQL_PERF, SQL_LANE_READER, 2,                                                                                        \
      "SELECT us(last.at), (last.value_usd * 1000000)::bigint, t.n, t.closed, t.won, us(v.at),"                            \
      " (v.value_usd * 1000000)::bigint, (t.pnl * 1000000)::bigint"                                                                                   \
      " FROM (SELECT count(*) AS n, count(*) FILTER (WHERE status = 'CONFIRMED' AND realized_pnl_usd IS NOT NULL)"         \
      " AS closed, count(*) FILTER (WHERE status = 'CONFIRMED' AND realized_pnl_usd > 0) AS won,"                                        \
      " sum(realized_pnl_usd) FILTER (WHERE status = 'CONFIRMED') AS pnl FROM trades"               \
      " WHERE user_vault_address = $1 AND created_at >= to_timestamp($2::bigint / 1e6)) t"                                 \
      " LEFT JOIN (SELECT at, value_usd FROM vault_valuations WHERE wallet_address = $1 ORDER BY at DESC LIMIT 1) last"    \
      " ON true LEFT JOIN (SELECT at, value_usd FROM vault_valuations WHERE wallet_address = $1"                           \
      " AND at >= to_timestamp($2::bigint / 1e6) ORDER BY at DESC LIMIT 10000) v ON true ORDER BY v.at")                   \
    X(SQL_BUS_BEAT, SQL_LANE_BUS, 0,                                                                                       \
      "SELECT count(*) FROM pg_stat_get_activity(NULL) WHERE application_name = 'xorj/listening'"                          \
      " AND datid = (SELECT oid FROM pg_database WHERE datname = current_database())")                                     \
    X(SQL_BUS_LISTEN, SQL_LANE_BUS, 0, "LISTEN xorj")                                                                      \
    X(SQL_BUS_NAME, SQL_LANE_BUS, 0, "SELECT set_config('application_name', 'xorj/listening', false), pg_backend_pid()")   \
    X(SQL_BUS_FENCE, SQL_LANE_BUS, 1,                                                                                      \
      "SELECT string_agg(pid || ' ' || coalesce(us(state_change), 0), ' '),"                                               \
      " CASE WHEN count(*) > 1 THEN pg_notify('xorj', $1)::text END"                                                       \
      " FROM pg_stat_get_activity(NULL) WHERE application_name = 'xorj/listening'"                                         \
      " AND datid = (SELECT oid FROM pg_database WHERE datname = current_database())")                                     \
    X(SQL_BUS_POST, SQL_LANE_BUS, 1, "SELECT count(pg_notify('xorj', m)) FROM unnest($1::text[]) AS m")                    \
    X(SQL_SETTINGS_GET, SQL_LANE_READER, 1,                                                                                \
      "SELECT 0, us(updated_at), " SQL_SETTINGS_COLUMNS " FROM (SELECT s.updated_at, settings_doc(s) AS doc"               \
      " FROM user_settings s WHERE wallet_address = $1) x")                                                                \
    X(SQL_SETTINGS_PUT, SQL_LANE_READER, 15,                                                                               \
      "SELECT outcome, updated_us, " SQL_SETTINGS_COLUMNS " FROM settings_put($1::uuid, $2, $3::bigint, $4, $5::numeric,"  \
      " $6::numeric, $7::numeric, $8::numeric, $9::bool, $10::bool, $11::numeric, $12, $13, $14, $15)")                    \
    X(SQL_BOT_CONFIGURE, SQL_LANE_READER, 14,                                                                              \
      "SELECT outcome, updated_us, " SQL_SETTINGS_COLUMNS ", (doc ->> 'enabled')::bool, (doc ->> 'botVersion')::bigint,"   \
      " (doc ->> 'botUpdated')::bigint FROM bot_configure($1::uuid, $2, $3::bigint, $4::bigint, $5::bool, $6::bool, $7,"   \
      " $8::numeric, $9::numeric, $10::numeric, $11, $12, $13, $14)")                                                      \
    X(SQL_BOT_EMERGENCY, SQL_LANE_READER, 9,                                                                               \
      "SELECT outcome, updated_us, doc ->> 'scope', (doc ->> 'paused')::bool, (doc ->> 'killed')::bool,"                   \
      " (doc ->> 'closing')::bool, doc ->> 'reason', (doc ->> 'version')::bigint"                                          \
      " FROM bot_emergency($1::uuid, $2, $3, $4, $5::bool, $6, $7, $8, $9)")                                               \
    X(SQL_IDEM_CLAIM, SQL_LANE_READER, 4,                                                                                  \
      "SELECT request_hash = decode($3, 'hex'), name, status, etag, answer"                                                \
      " FROM idem_claim($1, $2, decode($3, 'hex'), $4::bigint)")                                                           \
    X(SQL_IDEM_KEEP, SQL_LANE_READER, 7,                                                                                   \
      "UPDATE idempotency_keys SET request_hash = CASE WHEN answer IS NULL THEN decode($4, 'hex') ELSE request_hash END,"  \
      " open = false, status = coalesce(status, $5::int), etag = CASE WHEN answer IS NULL THEN $6 ELSE etag END,"          \
      " answer = coalesce(answer, $7) WHERE principal = $1 AND key = $2 AND name = $3::uuid"                               \
      " RETURNING true, name, status, etag, answer")                                                                       \
    X(SQL_IDEM_OPEN, SQL_LANE_READER, 3,                                                                                   \
      "UPDATE idempotency_keys SET open = true WHERE principal = $1 AND key = $2 AND name = $3::uuid AND answer IS NULL")  \
    X(SQL_TRADES, SQL_LANE_READER, 6,                                                                                      \
      "WITH mine AS (SELECT $1::text COLLATE \"C\" AS w UNION SELECT vault_address FROM users"                             \
      " WHERE wallet_address = $1 AND vault_address IS NOT NULL)"                                                          \
      " SELECT c.n, us(t.created_at), us(t.updated_at), t.id, t.user_vault_address, t.client_order_id, t.status,"          \
      " t.from_token_address, t.to_token_address, t.amount_in, t.expected_amount_out, t.actual_amount_out, t.gas_fee,"     \
      " trim_scale(t.slippage_realized), trim_scale(t.realized_pnl_usd), t.transaction_signature, t.error_message"         \
      " FROM (SELECT count(*) AS n FROM (SELECT 1 FROM trades WHERE user_vault_address IN (SELECT w FROM mine)"            \
      " AND ($2::text IS NULL OR status = $2) LIMIT 100000) x) c LEFT JOIN (SELECT t.* FROM mine CROSS JOIN LATERAL"       \
      " (SELECT * FROM trades WHERE user_vault_address = mine.w AND ($2::text IS NULL OR status = $2)"                     \
      " AND created_at <= CASE WHEN $3::bigint = 0 THEN 'infinity' ELSE 'epoch'::timestamptz + $3 * interval '1 us' END"   \
      " AND ($3 = 0 OR (created_at, id) < ('epoch'::timestamptz + $3 * interval '1 us', $4::uuid))"                        \
      " ORDER BY created_at DESC, id DESC LIMIT $5::int + $6::int) t"                                                      \
      " ORDER BY t.created_at DESC, t.id DESC LIMIT $5::int OFFSET $6::int) t ON true"                                     \
      " ORDER BY t.created_at DESC, t.id DESC")                                                                            \
    X(SQL_OPP_PUT, SQL_LANE_HOUSE, 1,                                                                                      \
      "INSERT INTO opportunities AS o (id, pair, direction, buy_venue, sell_venue, buy_price, sell_price, buy_touch,"      \
      " sell_touch, size, buy_cost, sell_proceeds, fee_cex, fee_dex, fee_network, slippage, fee_total, basis, gross_bps,"  \
      " net_bps, peak_net_bps, predicted_pnl, detected_at, source_at, received_at, opened_at, ended_at, lifetime_ms,"      \
      " parse_ns, detect_ns, pool_slot, decision, reason_code, status)"                                                    \
      " SELECT id, pair, direction, buy_venue, sell_venue, buy_price, sell_price, buy_touch, sell_touch, size, buy_cost,"  \
      " sell_proceeds, fee_cex, fee_dex, fee_network, slippage, fee_total, basis, gross / 100, net / 100, peak / 100,"     \
      " predicted_pnl, 'epoch'::timestamptz + detected * interval '1 us', 'epoch'::timestamptz + source * interval '1 us',"\
      " 'epoch'::timestamptz + received * interval '1 us', 'epoch'::timestamptz + opened * interval '1 us',"               \
      " 'epoch'::timestamptz + ended * interval '1 us', lifetime_ms, parse_ns, detect_ns, pool_slot, decision, reason,"    \
      " status FROM json_to_recordset($1::json) AS x(id uuid, pair text, direction text, buy_venue text, sell_venue text," \
      " buy_price numeric, sell_price numeric, buy_touch numeric, sell_touch numeric, size numeric, buy_cost numeric,"     \
      " sell_proceeds numeric, fee_cex numeric, fee_dex numeric, fee_network numeric, slippage numeric,"                   \
      " fee_total numeric, basis numeric, gross numeric, net numeric, peak numeric, predicted_pnl numeric,"                \
      " detected bigint, source bigint, received bigint, opened bigint, ended bigint, lifetime_ms bigint,"                 \
      " parse_ns bigint, detect_ns bigint, pool_slot numeric, decision text, reason text, status text)"                    \
      " ON CONFLICT (id) DO UPDATE SET buy_price = EXCLUDED.buy_price, sell_price = EXCLUDED.sell_price,"                  \
      " buy_touch = EXCLUDED.buy_touch, sell_touch = EXCLUDED.sell_touch, size = EXCLUDED.size,"                           \
      " buy_cost = EXCLUDED.buy_cost, sell_proceeds = EXCLUDED.sell_proceeds, fee_cex = EXCLUDED.fee_cex,"                 \
      " fee_dex = EXCLUDED.fee_dex, fee_network = EXCLUDED.fee_network, slippage = EXCLUDED.slippage,"                     \
      " fee_total = EXCLUDED.fee_total, basis = EXCLUDED.basis, gross_bps = EXCLUDED.gross_bps,"                           \
      " net_bps = EXCLUDED.net_bps, peak_net_bps = EXCLUDED.peak_net_bps, predicted_pnl = EXCLUDED.predicted_pnl,"         \
      " ended_at = EXCLUDED.ended_at, lifetime_ms = EXCLUDED.lifetime_ms, pool_slot = EXCLUDED.pool_slot,"                 \
      " decision = EXCLUDED.decision, reason_code = EXCLUDED.reason_code, status = EXCLUDED.status, updated_at = now()"    \
      " WHERE o.status <> 'closed'")                                                                                       \
    X(SQL_OPP_ORPHANS, SQL_LANE_HOUSE, 1,                                                                                  \
      "UPDATE opportunities SET status = 'closed', ended_at = updated_at, reason_code = 'STALE',"                          \
      " lifetime_ms = greatest(0, (extract(epoch FROM updated_at - opened_at) * 1000)::bigint)"                            \
      " WHERE status = 'open' AND created_at < 'epoch'::timestamptz + $1::bigint * interval '1 us'")                       \
    X(SQL_OPP_LIST, SQL_LANE_READER, 7, SQL_OPP_COLUMNS SQL_OPP_FILTER " AND ($6::bigint = 0 OR seq < $6)"                 \
      " ORDER BY seq DESC LIMIT $7::int")                                                                                  \
    X(SQL_OPP_COUNT, SQL_LANE_READER, 5, "SELECT count(*) FROM (SELECT 1" SQL_OPP_FILTER " LIMIT 100000) c")               \
    X(SQL_OPP_ONE, SQL_LANE_READER, 1, SQL_OPP_COLUMNS " FROM opportunities WHERE id = $1::uuid")

#define SQL_SETTINGS_COLUMNS                                                                                               \
    "doc ->> 'riskProfile', doc ->> 'maxTradeAmount', doc ->> 'slippageTolerance', doc ->> 'maxDrawdownLimit',"            \
    " doc ->> 'positionSizePercent', (doc ->> 'stopLossEnabled')::bool, (doc ->> 'takeProfitEnabled')::bool,"              \
    " doc ->> 'investmentAmount', (doc ->> 'version')::bigint"
#define SQL_OPP_COLUMNS                                                                                                    \
    "SELECT seq, id, pair, direction, buy_venue, sell_venue, trim_scale(buy_price), trim_scale(sell_price),"               \
    " trim_scale(size), trim_scale(buy_cost), trim_scale(sell_proceeds), trim_scale(fee_cex), trim_scale(fee_dex),"        \
    " trim_scale(fee_network), trim_scale(slippage), trim_scale(fee_total), trim_scale(basis), gross_bps, net_bps,"        \
    " peak_net_bps, trim_scale(predicted_pnl), us(detected_at), us(source_at), us(received_at), us(ended_at),"             \
    " lifetime_ms, parse_ns, detect_ns, decision, reason_code, status"
#define SQL_OPP_FILTER                                                                                                     \
    " FROM opportunities WHERE ($1::text IS NULL OR pair = $1) AND ($2::text IS NULL OR buy_venue = $2 OR sell_venue = $2)"\
    " AND ($3::text IS NULL OR decision = $3) AND ($4::bigint = 0 OR detected_at >= 'epoch'::timestamptz"                  \
    " + $4 * interval '1 us') AND ($5::int IS NULL OR net_bps >= $5 / 100.0)"

typedef enum {
#define X(id, lanes, nparams, text) id,
    SQL_LIST(X)
#undef X
    SQL_N
} sql_t;

const char *sql_name(sql_t s);
int sql_params(sql_t s);

#endif
