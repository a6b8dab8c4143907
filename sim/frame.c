#include "sim/frame.h"

#include <string.h>

int frame_parse(const uint8_t *p, size_t n, frame_t *f)
{
    if (n < 2) return 0;
    size_t ext = (p[1] & 0x7f) == 126 ? 2 : (p[1] & 0x7f) == 127 ? 8 : 0, at = 2;
    memset(f, 0, sizeof(*f));
    f->op = p[0] & 0x0f;
    f->fin = p[0] & 0x80;
    f->masked = p[1] & 0x80;
    if (p[0] & 0x70) return -1;
    size_t need = 2 + ext + (f->masked ? 4 : 0);
    if (n < need) return 0;
    f->len = p[1] & 0x7f;
    if (ext) f->len = 0;
    for (; ext; ext--) f->len = f->len << 8 | p[at++];
    if (f->masked) memcpy(f->mask, p + at, 4);
    bool control = f->op & 8;
    if ((control && (!f->fin || f->len > 125)) || f->len >> 63) return -1;
    return (int)need;
}

void frame_mask(const frame_t *f, char *body)
{
    if (!f->masked) return;
    for (uint64_t i = 0; i < f->len; i++) body[i] = (char)(body[i] ^ (char)f->mask[i & 3]);
}

size_t frame_head(uint8_t out[FRAME_HEAD_MAX], unsigned op, bool fin, uint64_t len)
{
    unsigned ext = len > 65535 ? 8 : len > 125 ? 2 : 0;
    out[0] = (uint8_t)(op | (fin ? 0x80u : 0));
    out[1] = (uint8_t)(ext == 8 ? 127 : ext == 2 ? 126 : len);
    for (unsigned i = 0; i < ext; i++) out[2 + i] = (uint8_t)(len >> (8 * (ext - 1 - i)));
    return 2 + ext;
}
