/* What `xorj version` and /api/v1/version say. The build gives XORJ_COMMIT to the files that show it. */
#ifndef XORJ_BASE_VERSION_H
#define XORJ_BASE_VERSION_H

#define XORJ_VERSION "0.1.0"
#ifndef XORJ_COMMIT
#define XORJ_COMMIT "unknown"
#endif

#endif
