// The peer in Go: net/http, pgx with its pool and statement cache, golang-jwt.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const freshFor = 15 * time.Second

var days = map[string]int{"1D": 1, "7D": 7, "30D": 30, "90D": 90, "ALL": 0}

type claims struct {
	Wallet string `json:"wallet_address"`
	jwt.RegisteredClaims
}

type known struct {
	wallet string
	until  time.Time
}

type answer struct {
	data  json.RawMessage
	until time.Time
}

type server struct {
	db           *pgxpool.Pool
	secret       []byte
	perf, toggle string
	tokens       sync.Map // token to known
	cache        sync.Map // wallet and range to answer
}

func (s *server) wallet(r *http.Request) (string, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return "", errors.New("a token is expected")
	}
	if k, ok := s.tokens.Load(token); ok && time.Now().Before(k.(known).until) {
		return k.(known).wallet, nil
	}
	var c claims
	key := func(*jwt.Token) (any, error) { return s.secret, nil }
	_, err := jwt.ParseWithClaims(token, &c, key, jwt.WithValidMethods([]string{"HS256"}), jwt.WithAudience("xorj:wallet"), jwt.WithExpirationRequired())
	if err == nil {
		s.tokens.Store(token, known{c.Wallet, c.ExpiresAt.Time})
	}
	return c.Wallet, err
}

func requestID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, why string) {
	reply(w, status, map[string]any{"success": false, "error": why})
}

func (s *server) load(ctx context.Context, wallet, span string) (json.RawMessage, error) {
	key := wallet + span
	if a, ok := s.cache.Load(key); ok && time.Now().Before(a.(answer).until) {
		return a.(answer).data, nil
	}
	var text string
	if err := s.db.QueryRow(ctx, s.perf, wallet, days[span], span).Scan(&text); err != nil {
		return nil, err
	}
	s.cache.Store(key, answer{json.RawMessage(text), time.Now().Add(freshFor)})
	return json.RawMessage(text), nil
}

func (s *server) performance(w http.ResponseWriter, r *http.Request) {
	wallet, err := s.wallet(r)
	if err != nil {
		refuse(w, http.StatusUnauthorized, err.Error())
		return
	}
	q := r.URL.Query()
	span := q.Get("timeRange")
	if _, ok := days[span]; !ok {
		refuse(w, http.StatusBadRequest, "timeRange")
		return
	}
	if q.Get("walletAddress") != wallet {
		refuse(w, http.StatusForbidden, "not this token's wallet")
		return
	}
	data, err := s.load(r.Context(), wallet, span)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "database")
		return
	}
	reply(w, http.StatusOK, struct {
		Success bool            `json:"success"`
		Stale   bool            `json:"stale"`
		Data    json.RawMessage `json:"data"`
		ID      string          `json:"requestId"`
	}{true, false, data, requestID()})
}

func (s *server) set(enabled bool, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wallet, err := s.wallet(r)
		if err != nil {
			refuse(w, http.StatusUnauthorized, err.Error())
			return
		}
		var version int64
		var at string
		if err := s.db.QueryRow(r.Context(), s.toggle, wallet, enabled).Scan(&version, &at); err != nil {
			refuse(w, http.StatusServiceUnavailable, "database")
			return
		}
		reply(w, http.StatusOK, struct {
			Success bool   `json:"success"`
			Message string `json:"message"`
			Enabled bool   `json:"enabled"`
			Version int64  `json:"version"`
			At      string `json:"updated_at"`
		}{true, message, enabled, version, at})
	}
}

func text(file string) string {
	b, err := os.ReadFile(os.Getenv("PEER_SQL") + "/" + file)
	if err != nil {
		log.Fatal(err)
	}
	return string(b)
}

func main() {
	cfg, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	cfg.MaxConns, cfg.MinConns = 24, 24
	db, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{db: db, secret: []byte(os.Getenv("JWT_SECRET")), perf: text("perf.sql"), toggle: text("toggle.sql")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, map[string]string{"status": "ok"}) })
	mux.HandleFunc("GET /api/user/performance", s.performance)
	mux.HandleFunc("POST /api/bot/enable", s.set(true, "Bot enabled"))
	mux.HandleFunc("POST /api/bot/disable", s.set(false, "Bot disabled"))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), mux))
}
