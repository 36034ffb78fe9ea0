/* debug.c - line tables: instructions to the lines of the kernel's text, so that perf and gdb show
 * kernel IR.
 *
 * Each kernel has a file of its own, NAME.lki, which is the kernel as lt_kernel_print writes it:
 * one statement a line, the header being line 1. Only lines are described, no variables: it costs
 * little. */
#include <string.h>

#include "codegen/llvm/llvm.h"
#include "lathe/runtime.h"

static LLVMMetadataRef make_file(Unit *u, const char *name) {
    return LLVMDIBuilderCreateFile(u->debug, name, strlen(name), ".", 1);
}

static void add_module_flag(Unit *u, const char *name, unsigned value) {
    LLVMMetadataRef number = LLVMValueAsMetadata(LLVMConstInt(u->i32, value, false));
    LLVMAddModuleFlag(u->module, LLVMModuleFlagBehaviorWarning, name, strlen(name), number);
}

void lt_debug_begin(Unit *u, const char *name) {
    static const char producer[] = "lathe " LATHE_VERSION;
    u->debug = LLVMCreateDIBuilder(u->module);
    add_module_flag(u, "Debug Info Version", LLVMDebugMetadataVersion());
    add_module_flag(u, "Dwarf Version", 4);
    LLVMDIBuilderCreateCompileUnit(u->debug, LLVMDWARFSourceLanguageC, make_file(u, name), producer,
                                   strlen(producer), true, "", 0, 0, "", 0,
                                   LLVMDWARFEmissionLineTablesOnly, 0, false, false, "", 0, "", 0);
}

/* Lines of a list that starts at `line`, as ir/kernel_text.c prints it; returns the line behind it.
 */
static uintptr_t number_lines(Map *lines, const Stmt *list, uintptr_t line) {
    for (const Stmt *s = list; s; s = s->next) {
        lt_map_set(lines, lt_ptr_key(s), (void *)line++);
        if (s->kind == STMT_FOR)
            line = number_lines(lines, s->u.loop.body, line) + 1;
        if (s->kind == STMT_IF)
            line = number_lines(lines, s->u.branch.body, line) + 1;
        if (s->kind == STMT_IF && s->u.branch.otherwise)
            line = number_lines(lines, s->u.branch.otherwise, line) + 1;
    }
    return line;
}

void lt_debug_kernel(Emitter *e, const char *symbol) {
    Unit *u = e->unit;
    const char *path = lt_arena_printf(e->arena, "%s.lki", symbol), *name = e->kernel->name;
    LLVMMetadataRef file = make_file(u, path);
    LLVMMetadataRef type =
        LLVMDIBuilderCreateSubroutineType(u->debug, file, NULL, 0, LLVMDIFlagZero);
    e->scope = LLVMDIBuilderCreateFunction(u->debug, file, name, strlen(name), symbol,
                                           strlen(symbol), file, 1, type, false, true, 1,
                                           LLVMDIFlagZero, u->options->level > 0);
    LLVMSetSubprogram(e->function, e->scope);
    lt_map_init(&e->lines, e->arena);
    number_lines(&e->lines, e->kernel->body, 2);
    LLVMMetadataRef at = LLVMDIBuilderCreateDebugLocation(u->context, 1, 0, e->scope, NULL);
    LLVMSetCurrentDebugLocation2(e->b, at);
}

void lt_debug_line(Emitter *e, const Stmt *s) {
    if (!e->scope)
        return;
    const uintptr_t line = (uintptr_t)lt_map_get(&e->lines, lt_ptr_key(s));
    LLVMMetadataRef at =
        LLVMDIBuilderCreateDebugLocation(e->unit->context, (unsigned)line, 0, e->scope, NULL);
    LLVMSetCurrentDebugLocation2(e->b, at);
}

void lt_debug_end(Unit *u) {
    if (u->debug)
        LLVMDIBuilderFinalize(u->debug);
}
