/* helpers.c - which rows of helpers.def and the other files of helpers a text needs. */
#include <ctype.h>
#include <string.h>

#include "codegen/cuda/cuda.h"

typedef struct Helper {
    const char *name, *text; /* text NULL: it is written when it is asked for */
    DType dtype;
    int columns;
} Helper;

static const Helper rows[] = {
#define HELPER(name_, text_) {.name = #name_, .text = text_},
#define WGMMA(suffix, columns_, dtype_) \
    {.name = "wgmma" #suffix #columns_, .dtype = dtype_, .columns = columns_},
#include "codegen/cuda/helpers.def"
#include "codegen/cuda/mma_helpers.def"
#include "codegen/cuda/host_helpers.def"
#include "codegen/cuda/narrow_helpers.def"
#include "codegen/cuda/quads_helpers.def"
#include "codegen/cuda/wgmma_helpers.def"
#undef HELPER
#undef WGMMA
};
enum { HELPER_COUNT = sizeof rows / sizeof *rows };

/* name(..), name<..>, launch(name, ..), ..<name>; of a type that begins with a capital, `Name
 * variable`. */
static bool calls(const char *text, const char *name) {
    const size_t len = strlen(name);
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
        const bool begins = at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
        const bool declares = isupper((unsigned char)name[0]) && at[len] == ' ';
        const bool launches = at - text >= 7 && strncmp(at - 7, "launch(", 7) == 0;
        const bool is_argument = at > text && at[-1] == '<' && (at[len] == '>' || at[len] == ',');
        if (begins && (at[len] == '(' || at[len] == '<' || declares || launches || is_argument))
            return true;
    }
    return false;
}

void lt_cuda_helpers(Str *out, const char *text, Arena *arena) {
    bool *used = LT_ARRAY(arena, bool, HELPER_COUNT);
    Helper *helpers = lt_arena_copy(arena, rows, sizeof rows);
    for (int i = 0; i < HELPER_COUNT; i++)
        if (!helpers[i].text)
            helpers[i].text = lt_cuda_wgmma_helper(arena, helpers[i].dtype, helpers[i].columns);
    for (int i = HELPER_COUNT - 1; i >= 0; i--) {
        used[i] = calls(text, helpers[i].name);
        for (int user = i + 1; user < HELPER_COUNT && !used[i]; user++)
            used[i] = used[user] && calls(helpers[user].text, helpers[i].name);
    }
    for (int i = 0; i < HELPER_COUNT; i++)
        if (used[i])
            lt_str_printf(out, "%s\n", helpers[i].text);
}
