/* The simulator's own certificate authority: an EC P-256 root and a server certificate for 127.0.0.1 and localhost,
 * made in the state directory at start and used again while they are valid. Private keys are files of mode 0600; ca.pem is
 * what a client has to trust. */
#ifndef XORJ_SIM_TLS_H
#define XORJ_SIM_TLS_H

#include <openssl/ssl.h>

#include "base/err.h"

/* dir must exist. *why (static text) says what failed. The context is freed by SSL_CTX_free. */
xerr_t tls_open(const char *dir, SSL_CTX **out, const char **why);

#endif
