#include "handlers/cursor.h"

#include "base/codec.h"
#include "handlers/answer.h"

void cursor_text(int64_t row, char out[CURSOR_TEXT])
{
    uint8_t raw[9] = {1};
    for (int i = 0; i < 8; i++) raw[1 + i] = (uint8_t)((uint64_t)row >> (56 - 8 * i));
    b64url_encode(raw, sizeof raw, out, CURSOR_TEXT);
}

xerr_t cursor_parse(span_t text, int64_t *row)
{
    uint8_t raw[16];
    uint64_t v = 0;
    size_t n = 0;
    if (b64url_decode(text, raw, sizeof raw, &n) || n != 9 || raw[0] != 1) return XE_BAD_INPUT;
    for (int i = 0; i < 8; i++) v = v << 8 | raw[1 + i];
    if (v == 0 || v > INT64_MAX) return XE_BAD_INPUT;
    *row = (int64_t)v;
    return XE_OK;
}

int cursor_fits(const char *text, unsigned long n)
{
    int64_t unused;
    return cursor_parse(span_make(text, n), &unused) == XE_OK;
}

void put_page(jw_t *w, unsigned limit, const char *next, int64_t total)
{
    jw_key(w, "pagination");
    jw_obj(w);
    put_i64(w, "limit", limit);
    put_bool(w, "has_more", next != NULL);
    put_str(w, "next_cursor", next);
    put_i64(w, "total_count", total);
    jw_end(w);
}

const schema_t page_members[] = {
    S_REQ("limit", SC_INT), S_REQ("has_more", SC_BOOL), S_NUL("next_cursor", SC_STR), S_REQ("total_count", SC_INT), S_END,
};
