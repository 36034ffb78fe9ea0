/* conformance.h - the ONNX backend suite, run by compiled code.
 *
 * cases.py writes the suite's cases into build/conformance/cases. Each is compiled by the calls
 * that lathec makes, and its artifact runs in liblathe_rt, in a process of its own: a case that
 * crashes or hangs is one that failed. Each is compiled three times: with the extents that it gives
 * its inputs, with the leading ones symbolic, with all symbolic. What is known to fail stands in
 * tests/conformance/expected, .batch and .all, with the reason. */
#ifndef LATHE_TESTS_CONFORMANCE_H
#define LATHE_TESTS_CONFORMANCE_H

#include <stdio.h>

#include "runtime/base/arena.h"
#include "runtime/base/map.h"
#include "runtime/base/vec.h"
#include "tools/cli.h"

#define CASES_FOLDER "build/conformance/cases"
#define WORK_FOLDER "build/conformance/work"
#define ARTIFACT_PATH WORK_FOLDER "/%ld.so" /* of the process with that id */

/* Which extents of the inputs are symbols (dims.c). */
typedef enum DimsForm { DIMS_GIVEN, DIMS_BATCH, DIMS_ALL, DIMS_FORMS } DimsForm;
#define DIMS_CHOICES "given|batch|all"

typedef enum Verdict {
#define VERDICT(e, name) VERDICT_##e,
#include "tests/conformance/verdicts.def"
#undef VERDICT
} Verdict;

/* How a case ended. In memory that the processes share: no pointers. */
typedef struct Outcome {
    Verdict verdict;
    double compile_seconds; /* 0: not compiled */
    char op[48];            /* the node that could not be compiled; "" otherwise */
    char reason[240];
} Outcome;

typedef struct Case {
    const char *name;   /* "node/test_abs" */
    const char *folder; /* its files */
    const char *op;     /* what the case is about: a row of the table */
    Outcome *outcome;
    const char *expected; /* why it is known to fail; NULL: it passes */
    bool fails_as_given;  /* symbolic forms: it is known to fail without, and may do either */
} Case;

typedef Vec(Case) CaseList;

typedef struct Conformance {
    Arena *arena;
    DimsForm dims;
    const char *target; /* NULL: this machine */
    bool cuda_jit;
    CaseList cases; /* that were chosen, by name */
    size_t all;     /* how many the suite has */
    int jobs;
    int seconds; /* for each case */
} Conformance;

const char *lt_verdict_name(Verdict verdict);

/* --- the suite (suite.c) --- */
typedef struct CaseChoice {
    const char *filter; /* a glob that the name, or what is behind its '/', matches; NULL: all */
    uint64_t part;      /* one in so many, by a hash of the name; 1: all */
    uint64_t which;     /* which one of them: less than part */
} CaseChoice;
/* Fills c->cases. False: there are none, and why was printed. */
bool lt_cases_find(Conformance *c, const CaseChoice *choice);

/* --- running (workers.c, run_case.c) --- */
/* Runs all cases, c->jobs at a time; their outcomes are filled. False: the machine lacks something.
 */
bool lt_cases_run(Conformance *c);
/* In the case's own process: compiles, runs, compares. */
void lt_case_run(const Conformance *c, const Case *at);

/* --- symbolic extents (dims.c) --- */
const char *lt_dims_name(DimsForm dims);
/* What is known to fail in this form. */
const char *lt_dims_expected(DimsForm dims);
/* Options: the values of --input that make the model's inputs symbolic, and those of --dim that let
 * what the file itself leaves open be 0. A model that cannot be read has none. */
typedef struct DimsOptions {
    CliList inputs, ranges;
} DimsOptions;
DimsOptions lt_dims_options(Arena *arena, const char *model_path, DimsForm dims);

/* --- what is known to fail (expected.c) --- */
/* Reads the form's list into the cases. False: a line of it is wrong, or names no case. */
bool lt_expected_read(Conformance *c);
/* Writes the cases that failed, reasons that stood there kept. Cases that did not run stay. */
bool lt_expected_write(const Conformance *c);
static inline bool case_passed(const Case *at) { return at->outcome->verdict == VERDICT_PASSED; }
static inline bool case_surprises(const Case *at) {
    return !at->fails_as_given && case_passed(at) == (at->expected != NULL);
}

/* --- words (report.c) --- */
void lt_report_ops(const Conformance *c);
void lt_report_reasons(const Conformance *c);
void lt_report_failures(const Conformance *c);
/* How many cases ended otherwise than expected; each is named. */
size_t lt_report_surprises(const Conformance *c);
/* Opens and closes a list of results; between them each form adds its own. NULL, false: errno says
 * why. */
FILE *lt_json_open(const char *path);
void lt_report_json(const Conformance *c, FILE *out, bool *is_first);
bool lt_json_close(FILE *out);
double lt_median_compile_ms(const Conformance *c);

#endif
