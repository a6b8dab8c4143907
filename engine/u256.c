#include "engine/u256.h"

#include "base/err.h"

static inline uint64_t lo64(u128_t v) { return (uint64_t)v; }
static inline uint64_t hi64(u128_t v) { return (uint64_t)(v >> 64); }
static inline u128_t pair(uint64_t hi, uint64_t lo) { return ((u128_t)hi << 64) | lo; }

u256_t u256_mul(u128_t a, u128_t b)
{
    u128_t ll = (u128_t)lo64(a) * lo64(b);
    if (hi64(a) == 0 && hi64(b) == 0) return u256_of(ll);
    u128_t lh = (u128_t)lo64(a) * hi64(b);
    u128_t hl = (u128_t)hi64(a) * lo64(b);
    u128_t hh = (u128_t)hi64(a) * hi64(b);
    u128_t mid = (u128_t)hi64(ll) + lo64(lh) + lo64(hl);
    return (u256_t){pair(lo64(mid), lo64(ll)), hh + hi64(lh) + hi64(hl) + hi64(mid)};
}

bool u256_add(u256_t a, u256_t b, u256_t *out)
{
    u128_t lo = a.lo + b.lo;
    u128_t carry = lo < a.lo;
    u128_t hi = a.hi + b.hi;
    bool over = hi < a.hi;
    u128_t top = hi + carry;
    over = over || top < hi;
    *out = (u256_t){lo, top};
    return !over;
}

u256_t u256_sub(u256_t a, u256_t b)
{
    return (u256_t){a.lo - b.lo, a.hi - b.hi - (a.lo < b.lo)};
}

bool u256_shl64(u256_t a, u256_t *out)
{
    *out = (u256_t){a.lo << 64, (a.hi << 64) | (a.lo >> 64)};
    return hi64(a.hi) == 0;
}

u256_t u256_shr(u256_t a, unsigned bits)
{
    if (bits == 0) return a;
    if (bits >= 128) return u256_of(a.hi >> (bits - 128));
    return (u256_t){(a.lo >> bits) | (a.hi << (128 - bits)), a.hi >> bits};
}

static void split(u256_t v, uint64_t w[4])
{
    w[0] = lo64(v.lo);
    w[1] = hi64(v.lo);
    w[2] = lo64(v.hi);
    w[3] = hi64(v.hi);
}

static u256_t join(const uint64_t w[4])
{
    return (u256_t){pair(w[1], w[0]), pair(w[3], w[2])};
}

static unsigned words(const uint64_t w[4])
{
    unsigned n = 4;
    while (n > 0 && w[n - 1] == 0) n--;
    return n;
}

static u256_t div_by_word(const uint64_t u[4], uint64_t d, u256_t *rem)
{
    uint64_t q[4];
    uint64_t r = 0;
    for (int i = 3; i >= 0; i--) {
        u128_t cur = pair(r, u[i]);
        q[i] = (uint64_t)(cur / d);
        r = (uint64_t)(cur % d);
    }
    *rem = u256_of(r);
    return join(q);
}

/* One digit of the schoolbook division (Knuth, algorithm D, steps D3 to D6); v is normalised, n >= 2. */
static uint64_t div_digit(uint64_t *u, const uint64_t *v, unsigned n)
{
    u128_t top = pair(u[n], u[n - 1]);
    u128_t qhat = u[n] >= v[n - 1] ? UINT64_MAX : top / v[n - 1];
    u128_t rhat = top - qhat * v[n - 1];
    while (hi64(rhat) == 0 && qhat * v[n - 2] > pair(lo64(rhat), u[n - 2])) {
        qhat--;
        rhat += v[n - 1];
    }
    uint64_t borrow = 0, carry = 0;
    for (unsigned i = 0; i < n; i++) {
        u128_t p = qhat * v[i] + carry;
        carry = hi64(p);
        u128_t t = (u128_t)u[i] - lo64(p) - borrow;
        u[i] = lo64(t);
        borrow = hi64(t) != 0;
    }
    u128_t t = (u128_t)u[n] - carry - borrow;
    u[n] = lo64(t);
    if (hi64(t) == 0) return (uint64_t)qhat;
    u128_t back = 0;
    for (unsigned i = 0; i < n; i++) {
        back = (u128_t)u[i] + v[i] + hi64(back);
        u[i] = lo64(back);
    }
    u[n] += hi64(back);
    return (uint64_t)qhat - 1;
}

u256_t u256_div(u256_t num, u256_t den, u256_t *rem)
{
    XASSERT(!u256_is_zero(den));
    if ((num.hi | den.hi) == 0) {
        *rem = u256_of(num.lo % den.lo);
        return u256_of(num.lo / den.lo);
    }
    if (u256_lt(num, den)) {
        *rem = num;
        return u256_of(0);
    }
    uint64_t u[5] = {0}, v[4], q[4] = {0};
    split(num, u);
    split(den, v);
    unsigned n = words(v), m = words(u);
    if (n == 1) return div_by_word(u, v[0], rem);
    unsigned s = (unsigned)__builtin_clzll(v[n - 1]);
    if (s > 0) {
        for (unsigned i = n - 1; i > 0; i--) v[i] = (v[i] << s) | (v[i - 1] >> (64 - s));
        v[0] <<= s;
        for (unsigned i = 4; i > 0; i--) u[i] = (u[i] << s) | (u[i - 1] >> (64 - s));
        u[0] <<= s;
    }
    for (unsigned j = m - n + 1; j-- > 0;) q[j] = div_digit(u + j, v, n);
    uint64_t r[4] = {0};
    for (unsigned i = 0; i < n; i++) r[i] = u[i];
    *rem = u256_shr(join(r), s);
    return join(q);
}

bool u256_div_to_128(u256_t num, u256_t den, bool round_up, u128_t *out)
{
    u256_t rem;
    u256_t q = u256_div(num, den, &rem);
    if (q.hi != 0) return false;
    if (round_up && !u256_is_zero(rem)) {
        if (q.lo == U128_MAX) return false;
        q.lo++;
    }
    *out = q.lo;
    return true;
}

int64_t log2_x32(u128_t p, int last)
{
    uint64_t high = (uint64_t)(p >> 64);
    int msb = high ? 127 - __builtin_clzll(high) : 63 - __builtin_clzll((uint64_t)p);
    uint64_t m = (uint64_t)(msb >= 63 ? p >> (msb - 63) : p << (63 - msb));
    int64_t frac = 0;
    for (int bit = 31; bit >= last; bit--) {
        u128_t sq = (u128_t)m * m;
        unsigned two = (unsigned)(sq >> 127);
        m = (uint64_t)(sq >> (63 + two));
        frac |= (int64_t)two << bit;
    }
    return ((int64_t)(msb - 64) * ((int64_t)1 << 32)) + frac;
}
