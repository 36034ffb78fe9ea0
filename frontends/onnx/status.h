/* status.h - the statuses that the frontends give, by name. */
#ifndef LATHE_FRONTENDS_ONNX_STATUS_H
#define LATHE_FRONTENDS_ONNX_STATUS_H

enum {
#define STATUS(e, number, exit, sentence) LT_##e = number,
#include "lathe/status.def"
#undef STATUS
};

#endif
