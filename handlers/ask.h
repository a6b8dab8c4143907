/* What a request asks: its body read and judged once, before the handler; then the readers of ctx.h. */
#ifndef XORJ_HANDLERS_ASK_H
#define XORJ_HANDLERS_ASK_H

#include "handlers/ctx.h"

bool ask_body(req_t *r); /* false: answered (400) */

#endif
