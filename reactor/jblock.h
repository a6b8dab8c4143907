/* The journal's format, in memory only: no file, no clock. zlib stays in jblock.c.
 *
 * A file is a head of 24 bytes and then blocks. A block is a head of 48 bytes with its own checksum, and compressed
 * records under a second checksum. Blocks of one run of the writer are numbered without a hole across its files, so what
 * was lost is seen. Each block explains itself: a connection is described by a JR_CHANNEL record before its first use in
 * that block, so a reader may start anywhere.
 *
 *   file head   "XORJJNL1"  u32 version  u64 run (wall time of its start, us)  u32 crc of the 20 bytes before it
 *   block head  "XJB1"  u32 compressed  u32 raw  u32 records  u64 number  i64 first, last wall time (us)  u32 crc of the
 *               compressed bytes  u32 crc of the 44 bytes before it
 *   record      u32 text length  u16 channel  u8 kind  u8 0  i64 monotonic ns  i64 wall us  text
 *
 * Integers are little-endian, checksums CRC-32, compression is zlib's deflate. */
#ifndef XORJ_REACTOR_JBLOCK_H
#define XORJ_REACTOR_JBLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define JB_FILE_HEAD 24
#define JB_HEAD 48
#define JR_HEAD 24
#define JB_TEXT_MAX (256u << 20)            /* of one record */
#define JB_RAW_MAX (JB_TEXT_MAX + (1u << 20))

/* X(id, number, name): what a record says. CHANNEL: "venue\0protocol\0connection number" of the channel from here on.
 * OPEN, CLOSE: the connection's first and last moment (CLOSE: why). FRAME: one inbound message, whole. SENT: what was
 * asked, where answers cannot be read without it. LOST: so many frames of the channel were not kept (text: count). */
#define JR_LIST(X) X(CHANNEL, 1, "channel") X(OPEN, 2, "open") X(FRAME, 3, "frame") X(CLOSE, 4, "close") X(SENT, 5, "sent") X(LOST, 6, "lost")
typedef enum {
#define X(id, n, name) JR_##id = (n),
    JR_LIST(X)
#undef X
} jr_kind_t;
const char *jr_name(jr_kind_t k); /* NULL: no such kind */

typedef struct {
    jr_kind_t kind;
    uint16_t chan;
    int64_t mono_ns, wall_us;
    span_t text;
} jr_t;

void jr_put_head(uint8_t out[JR_HEAD], const jr_t *r); /* the text follows it */
/* The record at *at of raw, which moves on. XE_CLOSED: no more. XE_BAD_INPUT: not a record. Text is borrowed from raw. */
xerr_t jr_next(span_t raw, size_t *at, jr_t *out);

typedef struct {
    uint32_t packed_n, raw_n, records, packed_crc;
    uint64_t number;
    int64_t first_us, last_us;
} jb_head_t;

void jb_file_head(uint8_t out[JB_FILE_HEAD], uint64_t run);
xerr_t jb_file_check(span_t bytes, uint64_t *run); /* XE_UNSUPPORTED: a later version */
/* XE_BAD_INPUT: not a block's head. Lengths are within bounds when it is one. */
xerr_t jb_head_parse(const uint8_t in[JB_HEAD], jb_head_t *out);
bool jb_packed_ok(const jb_head_t *h, span_t packed); /* length and checksum */
/* The records of a block into raw (emptied first; its ceiling must be JB_RAW_MAX). XE_BAD_INPUT: they are not there. */
xerr_t jb_unpack(const jb_head_t *h, span_t packed, buf_t *raw);
/* A whole block, head first, into out (emptied first). The records are given in two runs, the second may be empty.
 * Fills packed_n, raw_n and packed_crc. XE_TOO_BIG: past JB_RAW_MAX, or out's ceiling was reached. */
xerr_t jb_pack(jb_head_t *h, span_t a, span_t b, buf_t *out);

#endif
