#include "tests/vec.h"
const vec_row_t vec_account_rows[] = {{NULL, NULL}}, vec_instr_rows[] = {{NULL, NULL}}, vec_tx_rows[] = {{NULL, NULL}}, vec_siws_rows[] = {{NULL, NULL}};
