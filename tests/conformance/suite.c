/* suite.c - finds the cases, and tells what op each is about. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/onnx/model.h"
#include "runtime/base/file.h"
#include "runtime/base/str.h"
#include "tests/conformance/conformance.h"

static const char *const folders[] = {"node", "pytorch-converted", "pytorch-operator", "simple"};
enum { FOLDER_COUNT = sizeof folders / sizeof *folders };

/* The op of a model that has one node, else NULL. */
static const char *read_op(Arena *arena, const char *folder) {
    const char *path = lt_arena_printf(arena, "%s/model.onnx", folder);
    MappedFile file;
    char reason[128];
    if (!lt_file_map(&file, path, reason, sizeof reason))
        return NULL;
    DiagList diags;
    lt_diag_init(&diags, arena, path);
    const OnnxModel *model = lt_onnx_model_read(arena, file.data, file.size, &diags);
    const char *op = NULL;
    if (model && model->graph && model->graph->nodes.len == 1)
        op = lt_arena_strdup(arena, model->graph->nodes.data[0].op);
    lt_file_unmap(&file);
    return op;
}

/* node/test_celu_expanded and node/test_relu_expanded_ver18 are node/test_celu and node/test_relu
 * written with other ops. */
static const char *base_name(Arena *arena, const char *name) {
    const char *tail = strstr(name, "_expanded");
    return tail ? lt_arena_strndup(arena, name, (size_t)(tail - name)) : name;
}

static const char *find_op(Conformance *c, const char *name) {
    const char *base = base_name(c->arena, name);
    const char *op = read_op(c->arena, lt_arena_printf(c->arena, "%s/%s", CASES_FOLDER, base));
    return op ? op : "(several)";
}

static bool is_chosen(const CaseChoice *choice, const char *name) {
    if (lt_hash_bytes(name, strlen(name), 0) % choice->part != choice->which)
        return false;
    return !choice->filter || fnmatch(choice->filter, name, 0) == 0 ||
           fnmatch(choice->filter, strchr(name, '/') + 1, 0) == 0;
}

static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static bool find_in(Conformance *c, const char *folder, const CaseChoice *choice) {
    struct dirent **entries;
    const char *path = lt_arena_printf(c->arena, "%s/%s", CASES_FOLDER, folder);
    int count = scandir(path, &entries, visible, alphasort);
    if (count < 0) {
        fprintf(stderr, "conformance: error: %s: %s (tests/conformance/setup.sh writes it)\n", path,
                strerror(errno));
        return false;
    }
    for (int i = 0; i < count; i++) {
        const char *name = lt_arena_printf(c->arena, "%s/%s", folder, entries[i]->d_name);
        free(entries[i]);
        c->all++;
        if (!is_chosen(choice, name))
            continue;
        Case found = {.name = name, .op = find_op(c, name)};
        found.folder = lt_arena_printf(c->arena, "%s/%s", CASES_FOLDER, name);
        lt_vec_push(c->arena, &c->cases, found);
    }
    free(entries);
    return true;
}

bool lt_cases_find(Conformance *c, const CaseChoice *choice) {
    for (int i = 0; i < FOLDER_COUNT; i++)
        if (!find_in(c, folders[i], choice))
            return false;
    if (c->cases.len == 0)
        fprintf(stderr, "conformance: error: no case has such a name\n");
    return c->cases.len > 0;
}
