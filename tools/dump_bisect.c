/* dump_bisect.c - `lathe-dump --bisect`: the passes one after the other, judged by bisect.c. */
#include <unistd.h>

#include "tools/bisect.h"
#include "tools/dump.h"
#include "tools/graph_inputs.h"

enum { EXIT_FAILED = 1, EXIT_DIFFERS = 5 };

static void judge(Compilation *c, const Pass *pass, bool changed, double seconds) {
    (void)changed; /* is what the pass says of itself */
    (void)seconds;
    lt_bisect_after(c->user, pass);
}

static void print_result(const Compilation *c, const Bisect *b) {
    if (b->pass)
        printf("%s: %s (pass %d) is the first pass after which the outputs differ\n%s", c->path,
               b->pass, b->passes, b->report.text);
    else
        printf("%s: after each of %d passes the outputs are those of the model as read; "
               "%d stages were compared, the greatest error is %.3g\n",
               c->path, b->passes, b->stages, b->greatest);
}

static int run(Compilation *c, Bisect *b) {
    const char *error = lt_bisect_begin(b, &c->arena);
    if (error) {
        fprintf(stderr, "%s: error: the evaluator cannot run it: %s\n", c->path, error);
        return EXIT_FAILED;
    }
    int code = lt_compile_passes(c, NULL, 0);
    if (!code)
        print_result(c, b);
    return code ? code : b->pass ? EXIT_DIFFERS : 0;
}

int lt_dump_bisect(Compilation *c, const CliList *sources) {
    size_t count = c->ctx.module->main->inputs.len;
    const Tensor **inputs = LT_ARRAY(&c->arena, const Tensor *, count + 1);
    Bisect b = {.ctx = &c->ctx, .inputs = inputs};
    int code = lt_graph_inputs(&c->arena, c->ctx.module, sources, inputs);
    if (code)
        return code;
    b.title = isatty(STDERR_FILENO) ? c->path : NULL;
    c->on_terminal = false; /* the line that moves is the evaluator's */
    c->after_pass = judge;
    c->user = &b;
    code = run(c, &b);
    lt_bisect_free(&b);
    return code;
}
