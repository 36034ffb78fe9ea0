/* dump_html.h - the parts of `lathe-dump --html`. The page is one object in JSON, and a script that
 * draws it (dump_html*.js); the comment above `data` there lists the object's members. */
#ifndef LATHE_TOOLS_DUMP_HTML_H
#define LATHE_TOOLS_DUMP_HTML_H

#include "tools/dump.h"
#include "tools/trace.h"

typedef struct HtmlPage {
    Compilation *c;
    Str json;
    Map sources; /* what a location says, in the order of its number in the page */
    /* What the stages are compared with: the last one that changed something. */
    const char *before, *before_name;
    bool before_is_program;
    const char **nodes; /* by id; NULL: there is no such node */
    uint32_t node_count;
    size_t diag_count;
    int place; /* in the pipeline: the next one */
} HtmlPage;

/* Begins an element behind what is there: a comma, unless it is the first. */
void lt_html_next(Str *json);
void lt_html_key(Str *json, const char *name);
void lt_html_text(Str *json, const char *name, const char *text);
void lt_html_int(Str *json, const char *name, int64_t value);
/* "name": [3, 5]: the numbers of all locations of the list in page->sources. */
void lt_html_sources(HtmlPage *page, const char *name, const Loc *loc);
/* The number of one location. */
uint32_t lt_html_source(HtmlPage *page, const Loc *loc);

/* Runs the passes and writes "stages". An exit code. */
int lt_html_stages(HtmlPage *page);
/* Writes "kernels", "steps" and "buffers", if the passes went as far. An exit code. */
int lt_html_program(HtmlPage *page);

#endif
