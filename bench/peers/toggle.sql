-- Switches a bot: $1 wallet, $2 on or off.
INSERT INTO peer_bot_states AS b (user_vault_address, is_enabled, version) VALUES ($1, $2, 1)
ON CONFLICT (user_vault_address) DO UPDATE
SET is_enabled = EXCLUDED.is_enabled, was_enabled = b.is_enabled, version = b.version + 1, updated_at = now()
RETURNING version, to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
