/* Configuration: one table of rows gives the struct, the parser, the check of config.ini and `xorj check-config`.
 *
 * Order of precedence: default, config.ini, environment XORJ_<SECTION>_<KEY>, then the well-known names (DATABASE_URL,
 * DATABASE_HOST.., REDIS_URL, JWT_SECRET, ALLOWED_ORIGINS, SOLANA_RPC_URL). Unknown keys, bad values and weak secrets
 * are refused with one line each. Read once; a secret never prints.
 *
 * A variable XORJ_A_B that names no key is refused too, save XORJ_TEST_, XORJ_BENCH_, XORJ_SIM_, XORJ_RUN_ and
 * XORJ_BUILD_, which belong to scripts; so are single words such as XORJ_URL. DATABASE_URL wins over DATABASE_HOST... */
#ifndef XORJ_REACTOR_CONFIG_H
#define XORJ_REACTOR_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CFG_STR_MAX 512

/* X(section, key, TYPE, "default", min, max, flags, "documentation")
 * TYPE: STR, INT (int64_t), BOOL. min/max: range of INT, length of STR. flags: F fixed, L live (SIGHUP), S secret, LS both. */
#define CFG_LIST(X)                                                                                                        \
    X(server, environment, STR, "development", 1, 16, F, "development, staging or production")                             \
    X(server, listen, STR, "127.0.0.1", 1, 64, F, "numeric address of the one listener")                                   \
    X(server, port, INT, "8080", 0, 65535, F, "TCP port; 0 takes a free one and prints it")                                \
    X(server, domain, STR, "localhost", 1, 128, F, "domain named in sign-in messages")                                     \
    X(server, uri, STR, "http://localhost:8080", 1, 200, F, "URI named in sign-in messages")                               \
    X(server, chain, STR, "mainnet", 1, 16, F, "chain id named in sign-in messages")                                       \
    X(server, allowed_origins, STR, "https://xorj.ai,https://app.xorj.ai,https://dashboard.xorj.ai", 0, 511, L, "origins that may read answers in a browser") \
    X(server, trusted_proxies, STR, "127.0.0.1,::1", 0, 511, F, "peers whose X-Forwarded-For is believed")                 \
    X(server, metrics_allow, STR, "127.0.0.1,::1", 0, 511, L, "client addresses that may read /metrics")                   \
    X(server, drain_ms, INT, "8000", 100, 60000, F, "time for requests in flight at shutdown")                             \
    X(http, head_ms, INT, "10000", 100, 600000, F, "request head complete, from its first byte; beyond: 408")              \
    X(http, body_ms, INT, "15000", 100, 600000, F, "body complete; beyond: 408")                                           \
    X(http, idle_ms, INT, "75000", 100, 3600000, F, "idle connection between requests; beyond: close")                     \
    X(http, write_ms, INT, "30000", 100, 600000, F, "answer without progress at the client; beyond: close")                \
    X(http, linger_ms, INT, "2000", 0, 60000, F, "draining after a refusal that closes")                                   \
    X(http, line_max, INT, "8192", 256, 65536, F, "one header line in bytes; beyond: 431")                                 \
    X(http, head_max, INT, "16384", 512, 65536, F, "whole head in bytes; beyond: 431")                                     \
    X(http, lines_max, INT, "100", 8, 1000, F, "header lines; beyond: 431")                                                \
    X(http, target_max, INT, "8192", 64, 16384, F, "request target in bytes; beyond: 414")                                 \
    X(http, body_max, INT, "65536", 256, 1048576, F, "request body in bytes; beyond: 413")                                 \
    X(http, conns_max, INT, "10000", 8, 100000, F, "open connections; beyond: accepting pauses")                           \
    X(http, conns_per_addr, INT, "1024", 1, 100000, F, "open connections of one address (trusted proxies exempt)")         \
    X(http, pipeline_max, INT, "16", 1, 256, F, "pipelined requests waiting on one connection")                            \
    X(http, fd_reserve, INT, "16", 4, 1024, F, "descriptors kept for database, Redis and feeds")                           \
    X(http, read_deadline_ms, INT, "5000", 50, 60000, F, "deadline of a read request; beyond: 504")                        \
    X(http, write_deadline_ms, INT, "2000", 50, 60000, F, "deadline of a write request; beyond: 503")                      \
    X(ws, ring_bytes, INT, "4194304", 65536, 268435456, F, "outgoing ring shared by all subscribers")                      \
    X(ws, sub_bytes_max, INT, "262144", 4096, 16777216, F, "unsent bytes of one subscriber; beyond: close 4008")           \
    X(ws, sub_events_max, INT, "1024", 16, 65536, F, "unsent events of one subscriber; beyond: close 4008")                \
    X(ws, msg_max, INT, "16384", 128, 1048576, F, "client message in bytes; beyond: close 1009")                           \
    X(ws, frags_max, INT, "64", 1, 1024, F, "fragments of one client message; beyond: close 1009")                         \
    X(ws, ping_ms, INT, "30000", 100, 600000, F, "heartbeat to subscribers")                                               \
    X(ws, dead_ms, INT, "60000", 200, 3600000, F, "unanswered ping; beyond: close")                                        \
    X(ws, slice, INT, "128", 1, 65536, F, "subscribers served per turn")                                                   \
    X(ws, subs_max, INT, "10000", 1, 100000, F, "subscribers; beyond: 503")                                                \
    X(ws, per_principal, INT, "5", 1, 100000, F, "open sockets of one principal; beyond: close 4029")                      \
    X(ws, msgs_per_s, INT, "30", 1, 100000, F, "client messages per second; beyond: close 4029")                           \
    X(limits, enabled, BOOL, "true", 0, 0, L, "rate limits; false only for measuring, refused in production")              \
    X(limits, shared, BOOL, "true", 0, 0, L, "counted over all processes of the database, through Redis; while it is away each counts for itself") \
    X(limits, open_per_min, INT, "600", 1, 10000000, L, "class open, per address")                                         \
    X(limits, status_per_min, INT, "200", 1, 10000000, L, "class status, per principal or address")                        \
    X(limits, opp_per_min, INT, "100", 1, 10000000, L, "class opportunities, per principal")                               \
    X(limits, trades_per_min, INT, "100", 1, 10000000, L, "class trades: trades, reports, history; per principal")          \
    X(limits, ctrl_per_min, INT, "10", 1, 10000000, L, "class controls: controls, account and job creation; per principal") \
    X(limits, test_per_min, INT, "20", 1, 10000000, L, "class test: test injection; per principal")                        \
    X(limits, auth_per_15min, INT, "100", 1, 10000000, L, "class auth, per address")                                       \
    X(limits, user_per_min, INT, "600", 1, 10000000, L, "class user, per principal")                                       \
    X(limits, user_burst, INT, "60", 1, 10000000, L, "class user, requests in one second")                                 \
    X(limits, ws_per_min, INT, "30", 1, 10000000, L, "class ws, connects per principal")                                   \
    X(limits, keys_max, INT, "65536", 64, 4194304, F, "limiter entries kept; the least recently used goes first")          \
    X(database, host, STR, "127.0.0.1", 1, 200, F, "address, name (looked up once at start) or directory of the unix socket")              \
    X(database, port, INT, "5432", 1, 65535, F, "port")                                                                    \
    X(database, name, STR, "xorj", 1, 63, F, "database")                                                                   \
    X(database, user, STR, "xorj", 1, 63, F, "role")                                                                       \
    X(database, password, STR, "", 0, 200, S, "password")                                                                  \
    X(database, ssl, STR, "prefer", 1, 16, F, "disable, prefer, require, verify-ca, verify-full")                          \
    X(database, max_connections, INT, "8", 5, 50, F, "1 writer, 1 slow lane, 1 housekeeping, 1 listener, the rest readers") \
    X(database, connect_ms, INT, "2000", 100, 60000, F, "connect deadline")                                                \
    X(database, statement_ms, INT, "30000", 100, 600000, F, "statement_timeout")                                           \
    X(database, silent_ms, INT, "5000", 500, 60000, F, "answer overdue: the connection is given up")                       \
    X(database, lock_ms, INT, "20", 1, 60000, F, "lock_timeout of the batch writer")                                       \
    X(database, slow_lock_ms, INT, "1500", 1, 60000, F, "lock_timeout of the slow lane")                                   \
    X(database, batch_max, INT, "256", 1, 4096, F, "changes in one committed batch")                                       \
    X(database, queue_max, INT, "1000", 1, 100000, F, "requests waiting for PostgreSQL; beyond: 503")                      \
    X(database, backoff_min_ms, INT, "50", 10, 60000, F, "first reconnect delay")                                          \
    X(database, backoff_max_ms, INT, "2000", 50, 600000, F, "longest reconnect delay")                                     \
    X(database, require_durable, BOOL, "true", 0, 0, F, "refuse writes when fsync, full_page_writes or synchronous_commit is off (development may say false)") \
    X(redis, url, STR, "redis://127.0.0.1:6379/0", 1, 300, S, "redis://[:password@]host:port/db or unix:///path")          \
    X(redis, enabled, BOOL, "true", 0, 0, F, "false runs without the shared cache")                                        \
    X(redis, command_ms, INT, "200", 10, 60000, F, "deadline of one command; beyond: the link is given up")                \
    X(cache, perf_ttl_ms, INT, "15000", 0, 3600000, F, "performance answers, memory and Redis")                            \
    X(cache, user_ttl_ms, INT, "30000", 0, 3600000, F, "settings and trades of a wallet, memory; a change ends it at once")  \
    X(cache, entries_max, INT, "20000", 16, 4194304, F, "answers kept in memory; the least recently used goes first")      \
    X(cache, session_ttl_ms, INT, "5000", 0, 60000, F, "how long a checked session is believed without asking again")      \
    X(auth, jwt_secret, STR, "", 0, 300, LS, "HS256 key of at least 32 bytes")                                             \
    X(auth, jwt_kid, STR, "k1", 1, 32, L, "key id written into tokens")                                                    \
    X(auth, jwt_previous, STR, "", 0, 511, LS, "keys that sign no more but still open what they signed: kid:secret, separated by blanks, up to 3") \
    X(auth, wallet_ttl_s, INT, "86400", 60, 604800, F, "wallet session, absolute")                                         \
    X(auth, wallet_idle_s, INT, "1800", 1, 604800, F, "wallet session unused for so long has ended; each use puts it off")  \
    X(auth, operator_ttl_s, INT, "1800", 60, 86400, F, "operator access token")                                            \
    X(auth, refresh_ttl_s, INT, "604800", 300, 7776000, F, "operator refresh token; each use gives a new one")             \
    X(auth, hash_threads, INT, "2", 1, 16, F, "threads that hash passwords")                                               \
    X(auth, hash_waiting, INT, "32", 1, 1000, F, "password hashes waiting for them; beyond: 429")                          \
    X(auth, login_window_s, INT, "300", 10, 86400, F, "failed sign-ins of operators are counted over this time")           \
    X(auth, login_fails_user, INT, "5", 1, 1000, F, "failed sign-ins of one account; beyond: 429")                         \
    X(auth, login_fails_addr, INT, "20", 1, 10000, F, "failed sign-ins from one address; beyond: 429")                     \
    X(auth, api_keys_max, INT, "50", 1, 1000, F, "live API keys of one account; beyond: 422")                              \
    X(auth, admin_password, STR, "", 0, 128, S, "first password of the account admin; empty: a random one, printed once")  \
    X(auth, nonce_ttl_s, INT, "300", 10, 3600, F, "sign-in message")                                                       \
    X(bot, default_enabled, BOOL, "false", 0, 0, F, "state of a wallet that never chose")                                  \
    X(bot, kill_switch_key, STR, "", 0, 200, S, "authorization_key of POST /api/bot/emergency; empty: only admins have the kill switch") \
    X(feeds, enabled, BOOL, "true", 0, 0, F, "market connectors and signal engine")                                        \
    X(feeds, simulated, BOOL, "false", 0, 0, F, "the venues below are the simulator: declared in every answer that shows market data") \
    X(feeds, ca_file, STR, "", 0, 300, F, "extra certificate authority for venue connections (the simulator's)")           \
    X(feeds, coinbase_url, STR, "wss://advanced-trade-ws.coinbase.com", 0, 200, F, "Coinbase Advanced Trade socket; empty: off") \
    X(feeds, coinbase_protocol, STR, "coinbase-advanced", 1, 32, F, "coinbase-advanced, or coinbase-exchange with wss://ws-feed.exchange.coinbase.com") \
    X(feeds, coinbase_markets, STR, "SOL-USD", 0, 300, F, "comma-separated products")                                      \
    X(feeds, gemini_url, STR, "wss://ws.gemini.com?snapshot=-1", 0, 200, F, "Gemini socket; empty: off")                   \
    X(feeds, gemini_protocol, STR, "gemini-depth", 1, 32, F, "gemini-depth (current) or gemini-v2")                        \
    X(feeds, gemini_markets, STR, "solusd,usdcusd", 0, 300, F, "comma-separated symbols; usdcusd prices USDC in USD")      \
    X(feeds, bitstamp_url, STR, "", 0, 200, F, "Bitstamp socket, wss://ws.bitstamp.net; empty: off")                       \
    X(feeds, bitstamp_protocol, STR, "bitstamp-book", 1, 32, F, "bitstamp-book (best 100 levels, whole each time) or bitstamp-diff (whole depth upon a REST seed)") \
    X(feeds, bitstamp_rest_url, STR, "https://www.bitstamp.net", 0, 200, F, "where its books are asked for by REST")      \
    X(feeds, bitstamp_markets, STR, "solusd", 0, 300, F, "comma-separated markets")                                        \
    X(feeds, check_s, INT, "120", 0, 86400, F, "fresh snapshot where a venue shows no loss: the longest a book can be wrong unseen; 0: never") \
    X(feeds, solana_rpc_url, STR, "https://api.mainnet-beta.solana.com", 0, 300, S, "primary JSON-RPC endpoint (may carry a key); empty: off") \
    X(feeds, solana_rpc_fallback, STR, "", 0, 300, S, "further JSON-RPC endpoints, comma-separated, four in all, asked while those before are not well")                                          \
    X(feeds, solana_rpc_per_s, INT, "10", 0, 10000, F, "calls per second and endpoint, twice as many at once; 0: no bound")\
    X(feeds, solana_ws_url, STR, "wss://api.mainnet-beta.solana.com", 0, 300, S, "websocket endpoint; empty: polling only") \
    X(feeds, orca_pools, STR, "Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE", 0, 300, F, "Whirlpool SOL/USDC pools")       \
    X(feeds, poll_ms, INT, "2000", 100, 60000, F, "account polling, also the check of pushed state")                       \
    X(feeds, frame_max, INT, "33554432", 65536, 268435456, F, "largest venue message in bytes")                            \
    X(feeds, book_levels, INT, "65536", 1024, 1048576, F, "levels per side of one book; beyond: book unusable")            \
    X(feeds, slice_us, INT, "2000", 100, 10000, F, "longest parse of one turn")                                            \
    X(arb, stale_ms, INT, "10000", 100, 600000, F, "older data gives no signal")                                           \
    X(arb, basis_stale_ms, INT, "60000", 100, 3600000, F, "older USDC/USD basis gives no signal")                          \
    X(arb, min_net_bps_x100, INT, "1000", -1000000, 1000000, F, "threshold in hundredths of a basis point")                \
    X(arb, size_min_usd, INT, "50", 1, 1000000, F, "smallest notional tried")                                              \
    X(arb, size_max_usd, INT, "1000", 1, 1000000, F, "largest notional tried; the position limit")                         \
    X(arb, size_steps, INT, "8", 1, 32, F, "sizes tried between them")                                                     \
    X(arb, coinbase_taker_bps_x100, INT, "9000", 0, 1000000, F, "Coinbase Advanced first tier, 2026-09-16: 0.90 %")        \
    X(arb, gemini_taker_bps_x100, INT, "12000", 0, 1000000, F, "Gemini first tier, 2026-09-01: 1.20 %")                    \
    X(arb, bitstamp_taker_bps_x100, INT, "4000", 0, 1000000, F, "Bitstamp first tier, 2026-09-01: 0.40 %")                 \
    X(arb, network_fee_e6, INT, "2000", 0, 100000000, F, "dollars 1e-6 per DEX leg: base and priority fee")                \
    X(wallet, enabled, BOOL, "true", 0, 0, F, "wallet balances from the chain, through the RPC endpoints of [feeds]")      \
    X(wallet, cache_ms, INT, "30000", 0, 3600000, F, "how long a balance is good")                                         \
    X(wallet, cache_max, INT, "2048", 16, 1048576, F, "wallets kept in memory; the least recently used goes first")        \
    X(wallet, deadline_ms, INT, "4000", 100, 30000, F, "one read of the chain; beyond: last known values, or 503")         \
    X(wallet, tokens_max, INT, "100", 3, 512, F, "tokens listed; beyond: truncated")                                       \
    X(prices, coingecko_url, STR, "https://api.coingecko.com/api/v3", 0, 200, F, "CoinGecko; empty: off")                  \
    X(prices, coingecko_key, STR, "", 0, 200, S, "its API key (demo, or pro with the pro host)")                           \
    X(prices, jupiter_url, STR, "https://api.jup.ag", 0, 200, F, "Jupiter price v3; empty: off")                           \
    X(prices, jupiter_key, STR, "", 0, 200, S, "its API key")                                                              \
    X(prices, pyth_url, STR, "", 0, 200, F, "Pyth Hermes, https://hermes.pyth.network; wants a key; empty: off")           \
    X(prices, pyth_key, STR, "", 0, 200, S, "its API key")                                                                 \
    X(prices, birdeye_url, STR, "", 0, 300, S, "Birdeye price stream, wss://public-api.birdeye.so/socket/solana?x-api-key=KEY; empty: off")\
    X(prices, poll_ms, INT, "30000", 1000, 3600000, F, "least time between two questions to one source; nothing is asked while nobody wants prices")\
    X(prices, stale_ms, INT, "120000", 1000, 3600000, F, "older quotes are not used for a fresh price")                    \
    X(prices, keep_ms, INT, "900000", 0, 86400000, F, "how long the last agreed price is shown as stale; then there is none")\
    X(prices, max_dev_bps, INT, "100", 1, 5000, F, "sources further apart than this contradict each other: no price")      \
    X(record, enabled, BOOL, "false", 0, 0, F, "keep every inbound frame of venues and RPC in journals")                   \
    X(record, dir, STR, "journal", 1, 300, F, "directory of the journals; one process writes there")                       \
    X(record, max_mb, INT, "4096", 16, 16777216, F, "journals on disk; beyond: the oldest files go")                       \
    X(record, queue_mb, INT, "64", 4, 4096, F, "frames waiting to be written; beyond: dropped, counted and marked as missing")\
    X(record, flush_ms, INT, "1000", 10, 60000, F, "longest stay of a frame in memory: what a crash can cost")             \
    X(log, level, STR, "info", 1, 8, L, "error, warn, info, debug, trace")                                                 \
    X(log, requests, BOOL, "false", 0, 0, L, "one line per answered request")                                              \
    X(log, opportunities, BOOL, "true", 0, 0, L, "one line per opportunity")

typedef struct {
#define CFG_FIELD_STR char
#define CFG_FIELD_INT int64_t
#define CFG_FIELD_BOOL bool
#define CFG_DIM_STR [CFG_STR_MAX]
#define CFG_DIM_INT
#define CFG_DIM_BOOL
#define X(section, key, TYPE, def, lo, hi, flag, doc) CFG_FIELD_##TYPE section##_##key CFG_DIM_##TYPE;
    CFG_LIST(X)
#undef X
} cfg_t;

/* path NULL: no file. Every fault is one line in errors ("config.ini:12: unknown key 'x' in [http]"); XE_BAD_INPUT
 * when there is any. The JWT secret may be absent here; `serve` and `token` demand it through cfg_check_secrets. */
xerr_t cfg_load(cfg_t *c, const char *path, char **envp, buf_t *errors);
xerr_t cfg_check_secrets(const cfg_t *c, buf_t *errors); /* empty, short or well-known secrets */
/* The token keys: jwt_secret first, then those of jwt_previous. XE_BAD_INPUT: not written as documented. */
#define CFG_KEYS_MAX 4
typedef struct {
    char kid[33], secret[CFG_STR_MAX];
} cfg_key_t;
xerr_t cfg_token_keys(const cfg_t *c, cfg_key_t out[CFG_KEYS_MAX], unsigned *n);
void cfg_print(const cfg_t *c, buf_t *out);              /* effective values as config.ini, secrets masked */
/* Copies the rows flagged L and LS from fresh: what SIGHUP may change. */
void cfg_take_live(cfg_t *c, const cfg_t *fresh);
/* libpq connection string in keyword form (values quoted), for storage. A host given by name is looked up here, which
 * may take its time: call it before the loop turns. XE_DOWN when the name has no address; the string then fails at once. */
xerr_t cfg_conninfo(const cfg_t *c, buf_t *out);
/* Every row documented in this config.ini text? One line per missing or unknown key. */
xerr_t cfg_check_sample(const char *path, buf_t *errors);
void cfg_write_sample(buf_t *out); /* the sections of such a file, each key with its text and default */

#endif
