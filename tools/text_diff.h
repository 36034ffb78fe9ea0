/* text_diff.h - what changed between two texts, as `diff -u` shows it. */
#ifndef LATHE_TOOLS_TEXT_DIFF_H
#define LATHE_TOOLS_TEXT_DIFF_H

#include <stdio.h>

#include "runtime/base/arena.h"

/* A text and what the header line calls it. */
typedef struct NamedText {
    const char *name, *text;
} NamedText;

/* Prints a unified diff with three lines of context; nothing when the texts are equal. */
void lt_text_diff(FILE *out, NamedText before, NamedText after);

#endif
