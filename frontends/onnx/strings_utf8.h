/* strings_utf8.h - the characters of tensors of strings. */
#ifndef LATHE_FRONTENDS_ONNX_STRINGS_UTF8_H
#define LATHE_FRONTENDS_ONNX_STRINGS_UTF8_H

#include "frontends/onnx/strings.h"

/* bool[total]: which bytes are of white space (Unicode's property White_Space). s: rank 1, dense;
 * bytes: the spread of its lengths. */
Value *lt_strings_is_space(Import *im, const Strings *s, const Spread *bytes);
/* Each character replaced by its simple lower or upper case; bytes that are not UTF-8 stay. s: rank
 * 1, dense, and so is the result. */
Strings lt_strings_fold(Import *im, const Strings *s, bool upper);

#endif
