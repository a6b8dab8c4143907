/* Settings as bodies say them and answers show them, for the routes that do either. */
#ifndef XORJ_HANDLERS_SETTINGS_JSON_H
#define XORJ_HANDLERS_SETTINGS_JSON_H

#include "handlers/ctx.h"
#include "storage/settings.h"

/* Largest amounts in dollars at six decimals, as rows of a schema want them. */
#define USD_E6 1000000LL
#define AMOUNT_MAX_E6 (1000000 * USD_E6)

#define RISK_WORDS S_WORDS("Conservative", "Balanced", "Aggressive")
#define RISK_ROW S_ROW("riskProfile", SC_STR, SC_FOLD, .choices = RISK_WORDS, .doc = "In any case; kept in title case.")

/* The members of the body that are settings: texts live in the request. The body was judged. */
void settings_patch(req_t *r, settings_patch_t *out);

void settings_put_members(jw_t *w, const settings_t *s);  /* riskProfile, settings{} */
void settings_put_reasons(jw_t *w, const settings_t *s);  /* reasons{}: why members are null */
extern const schema_t settings_members[];
#define SETTINGS_ROWS                                                                                                             \
    S_REQ("riskProfile", SC_STR, .choices = RISK_WORDS), S_REQ("settings", SC_OBJ, .of = settings_members),                        \
    S_REASONS

#endif
