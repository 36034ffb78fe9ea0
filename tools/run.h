/* run.h - the parts of lathe-run: options, inputs (run_inputs.c), outputs (run_outputs.c), what it
 * reports (run_report.c), models that are no artifacts yet (run_compile.c). Functions that return
 * int return -1 to go on, or an exit code. */
#ifndef LATHE_TOOLS_RUN_H
#define LATHE_TOOLS_RUN_H

#include "lathe/runtime.h"
#include "tools/compile.h"
#include "tools/npy.h"
#include "tools/oracle.h"

typedef struct RunOptions {
    CompileOptions compile; /* of a model file */
    CliList inputs;         /* NAME=SOURCE or SOURCE */
    CliList dims;           /* NAME=N */
    const char *output_dir;
    const char *check;   /* the model file to compare with */
    const char *profile; /* NULL: no; "": a table; else the trace's path */
    int64_t threads, device, repeat, warmup;
    double seconds;
    bool print, info, json;
} RunOptions;

/* Where an input comes from. Files are read at once; the others wait until all dims are known. */
typedef enum { SOURCE_FILE, SOURCE_RANDOM, SOURCE_ZEROS } SourceKind;
typedef struct Source {
    SourceKind kind;
    int64_t seed;
} Source;

/* Times in seconds. */
typedef struct RunTimes {
    double load, first;
    Vec(double) runs; /* sorted once all are done */
} RunTimes;

typedef struct Run {
    Cli *cli;
    Arena *arena;
    const RunOptions *options;
    const char *path;     /* as the user typed it */
    const char *artifact; /* the same, or the temporary one that was made of it */
    lathe_model *model;
    lathe_context *context;
    HostTensor *inputs; /* one for each of the model's; borrowed by the context */
    Source *sources;    /* one for each input; without --input: random, seeded by its index */
    int64_t *symbols;   /* values of the model's symbolic dims; -1: not known */
    RunTimes times;
    Difference *differences; /* one for each output once --check compared them */
} Run;

/* Prints "PATH: error: TEXT"; returns the exit code of the status. */
int lt_run_fail(const Run *run, lathe_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Sets run->artifact: run->path, or, where that is a model file, a temporary artifact that lathec
 * made of it for options->dims, which are no longer symbols to set. Whoever has opened that removes
 * it (lt_temporary_remove). */
int lt_run_compile(Run *run, RunOptions *options);
/* Reads --dim and --input into run->symbols and run->inputs. */
int lt_run_inputs(Run *run);
/* Dims that nothing tells: the lowest the model takes (at least 1), noted on standard error. */
void lt_run_guess_dims(Run *run);
/* Gives every input to the context; those that --input does not name are random. */
int lt_run_bind(Run *run);
/* --check: compares the outputs with the evaluator's. */
int lt_run_check(Run *run);

/* --info. */
int lt_run_describe(Run *run);
/* Sorts the times and prints them, and the profile. */
int lt_run_report(Run *run);
/* --output-dir and --print. */
int lt_run_write_outputs(const Run *run);

#endif
