/* From configuration to the engine's instruments: which books and pools exist, what they price, and what they cost. */
#ifndef XORJ_APP_INSTS_H
#define XORJ_APP_INSTS_H

#include "base/buf.h"
#include "engine/engine.h"
#include "reactor/config.h"

/* XE_BAD_INPUT with one line per fault in errors (too many markets, a name too long). */
xerr_t insts_from_cfg(const cfg_t *c, eng_conf_t *out, buf_t *errors);

#endif
