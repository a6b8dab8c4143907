#include "reactor/jblock.h"

#include <string.h>
#include <zlib.h>

#define FILE_VERSION 1
#define RATIO_MAX 1100 /* deflate shrinks 1032 times at most: a head that claims more is a bomb */
#define LEVEL 1        /* JSON shrinks 5 to 8 times at this level already, at a third of the usual cost */
#define CHUNK 65536

static const uint8_t file_magic[8] = {'X', 'O', 'R', 'J', 'J', 'N', 'L', '1'}, block_magic[4] = {'X', 'J', 'B', '1'};

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (8 * i));
}

static void put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32; }

static uint32_t crc_of(const void *p, size_t n) { return (uint32_t)crc32_z(crc32_z(0, NULL, 0), p, n); }

const char *jr_name(jr_kind_t k)
{
    switch (k) {
#define X(id, n, name) case JR_##id: return name;
        JR_LIST(X)
#undef X
    }
    return NULL;
}

void jr_put_head(uint8_t out[JR_HEAD], const jr_t *r)
{
    put32(out, (uint32_t)r->text.n);
    out[4] = (uint8_t)r->chan;
    out[5] = (uint8_t)(r->chan >> 8);
    out[6] = (uint8_t)r->kind;
    out[7] = 0;
    put64(out + 8, (uint64_t)r->mono_ns);
    put64(out + 16, (uint64_t)r->wall_us);
}

xerr_t jr_next(span_t raw, size_t *at, jr_t *out)
{
    if (*at == raw.n) return XE_CLOSED;
    if (raw.n - *at < JR_HEAD) return XE_BAD_INPUT;
    const uint8_t *p = (const uint8_t *)raw.p + *at;
    size_t n = get32(p);
    if (n > raw.n - *at - JR_HEAD || p[7] != 0 || !jr_name((jr_kind_t)p[6])) return XE_BAD_INPUT;
    *out = (jr_t){.kind = (jr_kind_t)p[6], .chan = (uint16_t)(p[4] | p[5] << 8), .mono_ns = (int64_t)get64(p + 8),
                  .wall_us = (int64_t)get64(p + 16), .text = span_make(raw.p + *at + JR_HEAD, n)};
    *at += JR_HEAD + n;
    return XE_OK;
}

void jb_file_head(uint8_t out[JB_FILE_HEAD], uint64_t run)
{
    memcpy(out, file_magic, sizeof file_magic);
    put32(out + 8, FILE_VERSION);
    put64(out + 12, run);
    put32(out + 20, crc_of(out, 20));
}

xerr_t jb_file_check(span_t bytes, uint64_t *run)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    if (bytes.n < JB_FILE_HEAD || memcmp(p, file_magic, sizeof file_magic) != 0 || get32(p + 20) != crc_of(p, 20)) return XE_BAD_INPUT;
    *run = get64(p + 12);
    return get32(p + 8) == FILE_VERSION ? XE_OK : XE_UNSUPPORTED;
}

xerr_t jb_head_parse(const uint8_t in[JB_HEAD], jb_head_t *out)
{
    if (memcmp(in, block_magic, sizeof block_magic) != 0 || get32(in + 44) != crc_of(in, 44)) return XE_BAD_INPUT;
    *out = (jb_head_t){.packed_n = get32(in + 4), .raw_n = get32(in + 8), .records = get32(in + 12), .number = get64(in + 16),
                       .first_us = (int64_t)get64(in + 24), .last_us = (int64_t)get64(in + 32), .packed_crc = get32(in + 40)};
    bool sane = out->raw_n <= JB_RAW_MAX && out->packed_n <= compressBound(JB_RAW_MAX) && out->raw_n / RATIO_MAX <= out->packed_n &&
                out->records <= out->raw_n / JR_HEAD;
    return sane ? XE_OK : XE_BAD_INPUT;
}

bool jb_packed_ok(const jb_head_t *h, span_t packed)
{
    return packed.n == h->packed_n && crc_of(packed.p, packed.n) == h->packed_crc;
}

/* Grows with what really comes out, so that a lie costs no more than it sends. */
xerr_t jb_unpack(const jb_head_t *h, span_t packed, buf_t *raw)
{
    uint8_t chunk[CHUNK];
    z_stream z;
    int rc = Z_OK;
    buf_reset(raw);
    if (packed.n != h->packed_n || h->raw_n == 0) return XE_BAD_INPUT;
    memset(&z, 0, sizeof z);
    XASSERT(inflateInit(&z) == Z_OK);
    z.next_in = (Bytef *)(uintptr_t)packed.p;
    z.avail_in = (uInt)packed.n;
    while (rc == Z_OK && raw->n <= h->raw_n && !raw->failed) {
        z.next_out = chunk;
        z.avail_out = sizeof chunk;
        rc = inflate(&z, Z_NO_FLUSH);
        if (rc == Z_OK || rc == Z_STREAM_END) buf_add(raw, chunk, sizeof chunk - z.avail_out);
    }
    bool whole = rc == Z_STREAM_END && z.avail_in == 0 && raw->n == h->raw_n;
    inflateEnd(&z);
    if (raw->failed) return XE_TOO_BIG;
    return whole ? XE_OK : XE_BAD_INPUT;
}

/* One run of input through the stream; flush is Z_FINISH with the last one. */
static bool squeeze(z_stream *z, span_t in, int flush, buf_t *out)
{
    uint8_t chunk[CHUNK];
    z->next_in = (Bytef *)(uintptr_t)in.p;
    z->avail_in = (uInt)in.n;
    for (;;) {
        z->next_out = chunk;
        z->avail_out = sizeof chunk;
        int rc = deflate(z, flush);
        if (rc == Z_STREAM_ERROR) return false;
        buf_add(out, chunk, sizeof chunk - z->avail_out);
        if (flush == Z_FINISH ? rc == Z_STREAM_END : z->avail_out > 0) return !out->failed;
        if (out->failed) return false;
    }
}

xerr_t jb_pack(jb_head_t *h, span_t a, span_t b, buf_t *out)
{
    uint8_t head[JB_HEAD] = {0};
    z_stream z;
    buf_reset(out);
    if (a.n > JB_RAW_MAX || b.n > JB_RAW_MAX - a.n) return XE_TOO_BIG;
    memset(&z, 0, sizeof z);
    XASSERT(deflateInit(&z, LEVEL) == Z_OK);
    buf_add(out, head, sizeof head);
    bool ok = squeeze(&z, a, Z_NO_FLUSH, out) && squeeze(&z, b, Z_FINISH, out);
    deflateEnd(&z);
    if (!ok) return XE_TOO_BIG;
    h->raw_n = (uint32_t)(a.n + b.n);
    h->packed_n = (uint32_t)(out->n - JB_HEAD);
    h->packed_crc = crc_of(out->p + JB_HEAD, h->packed_n);
    memcpy(head, block_magic, sizeof block_magic);
    put32(head + 4, h->packed_n);
    put32(head + 8, h->raw_n);
    put32(head + 12, h->records);
    put64(head + 16, h->number);
    put64(head + 24, (uint64_t)h->first_us);
    put64(head + 32, (uint64_t)h->last_us);
    put32(head + 40, h->packed_crc);
    put32(head + 44, crc_of(head, 44));
    memcpy(out->p, head, sizeof head);
    return XE_OK;
}
