/* static_write.c - what static linking needs besides code: the weights as an ELF object, and a
 * library of one member (ar(5), with GNU's index of symbols). */
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "codegen/codegen.h"
#include "runtime/base/file.h"

/* --- weights --------------------------------------------------------------------------------- */

enum {
    SECTION_NONE,
    SECTION_RODATA,
    SECTION_SYMBOLS,
    SECTION_STRINGS,
    SECTION_NAMES,
    SECTION_STACK, /* empty: this object wants no executable stack */
    SECTION_COUNT
};

static const char section_names[] = "\0.rodata\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack";

/* Where a section's name lies in section_names. */
static uint32_t name_offset(int section) {
    uint32_t at = 1;
    for (; section > 1; section--)
        at += (uint32_t)strlen(section_names + at) + 1;
    return section ? at : 0;
}

static void fill_weights(const Program *p, uint8_t *to) {
    for (size_t i = 0; i < p->buffers.len; i++) {
        const ProgramBuffer *b = &p->buffers.data[i];
        if (b->place != PLACE_WEIGHTS)
            continue;
        int64_t elements = 1;
        uint8_t *at = to + b->offset->value;
        if (b->value->is_splat)
            lt_type_is_static(b->value->type, &elements);
        for (int64_t j = 0; j < elements && b->value->bytes; j++)
            memcpy(at + (size_t)j * b->value->bytes, b->value->data, b->value->bytes);
    }
}

static Elf64_Ehdr elf_header(const Target *target, uint64_t sections_at) {
    Elf64_Ehdr h = {
        .e_type = ET_REL,
        .e_machine = strcmp(target->arch, "aarch64") == 0 ? EM_AARCH64 : EM_X86_64,
        .e_version = EV_CURRENT,
        .e_shoff = sections_at,
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = SECTION_COUNT,
        .e_shstrndx = SECTION_NAMES,
    };
    memcpy(h.e_ident, ELFMAG, SELFMAG);
    h.e_ident[EI_CLASS] = ELFCLASS64;
    h.e_ident[EI_DATA] = ELFDATA2LSB;
    h.e_ident[EI_VERSION] = EV_CURRENT;
    return h;
}

typedef struct Layout {
    uint64_t weights, weights_size, symbols, strings, strings_size, names, sections, size;
} Layout;

static Layout lay_out(const Program *p, const char *symbol) {
    Layout l = {.weights = LT_TENSOR_ALIGN};
    l.weights_size = p->weights_size ? (uint64_t)p->weights_size : LT_TENSOR_ALIGN;
    l.symbols = (l.weights + l.weights_size + 7) / 8 * 8;
    l.strings = l.symbols + 2 * sizeof(Elf64_Sym);
    l.strings_size = strlen(symbol) + 2;
    l.names = l.strings + l.strings_size;
    l.sections = (l.names + sizeof section_names + 7) / 8 * 8;
    l.size = l.sections + SECTION_COUNT * sizeof(Elf64_Shdr);
    return l;
}

static void write_sections(const Layout *l, Elf64_Shdr *to) {
    const Elf64_Shdr sections[SECTION_COUNT] = {
        [SECTION_RODATA] = {.sh_type = SHT_PROGBITS,
                            .sh_flags = SHF_ALLOC,
                            .sh_offset = l->weights,
                            .sh_size = l->weights_size,
                            .sh_addralign = LT_TENSOR_ALIGN},
        [SECTION_SYMBOLS] = {.sh_type = SHT_SYMTAB,
                             .sh_offset = l->symbols,
                             .sh_size = 2 * sizeof(Elf64_Sym),
                             .sh_link = SECTION_STRINGS,
                             .sh_info = 1,
                             .sh_addralign = 8,
                             .sh_entsize = sizeof(Elf64_Sym)},
        [SECTION_STRINGS] = {.sh_type = SHT_STRTAB,
                             .sh_offset = l->strings,
                             .sh_size = l->strings_size,
                             .sh_addralign = 1},
        [SECTION_NAMES] = {.sh_type = SHT_STRTAB,
                           .sh_offset = l->names,
                           .sh_size = sizeof section_names,
                           .sh_addralign = 1},
        [SECTION_STACK] = {.sh_type = SHT_PROGBITS, .sh_offset = l->sections, .sh_addralign = 1},
    };
    for (int i = 0; i < SECTION_COUNT; i++) {
        to[i] = sections[i];
        to[i].sh_name = name_offset(i);
    }
}

ObjectCode lt_weights_object(const Program *p, const CodegenOptions *o, Arena *arena) {
    const char *symbol = lt_arena_printf(arena, "%s_weights", o->static_name);
    const Layout l = lay_out(p, symbol);
    uint8_t *data = lt_arena_alloc_aligned(arena, l.size, LT_TENSOR_ALIGN);
    const Elf64_Ehdr header = elf_header(o->target, l.sections);
    const Elf64_Sym symbols[2] = {{0},
                                  {.st_name = 1,
                                   .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
                                   .st_shndx = SECTION_RODATA,
                                   .st_size = l.weights_size}};
    memcpy(data, &header, sizeof header);
    fill_weights(p, data + l.weights);
    memcpy(data + l.symbols, symbols, sizeof symbols);
    memcpy(data + l.strings + 1, symbol, strlen(symbol));
    memcpy(data + l.names, section_names, sizeof section_names);
    write_sections(&l, (Elf64_Shdr *)(void *)(data + l.sections));
    return (ObjectCode){.data = (char *)data, .size = l.size};
}

/* --- the library ----------------------------------------------------------------------------- */

/* Times and owners are zero: the same model gives the same bytes. */
static void write_member_header(OutputFile *out, const char *name, size_t size) {
    char header[80];
    snprintf(header, sizeof header, "%-16s%-12d%-6d%-6d%-8s%-10zu`\n", name, 0, 0, 0, "644", size);
    lt_output_write(out, header, 60);
}

static void write_big_endian(OutputFile *out, uint32_t value) {
    const uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                             (uint8_t)value};
    lt_output_write(out, bytes, sizeof bytes);
}

bool lt_archive_write(const ObjectCode *code, const ArchiveMember *member, const char *path) {
    char name[17];
    size_t index_size = 4 + 4 * member->symbol_count;
    for (size_t i = 0; i < member->symbol_count; i++)
        index_size += strlen(member->symbols[i]) + 1;
    const size_t padded = (index_size + 1) / 2 * 2; /* members start at even offsets */
    OutputFile out;
    if (!lt_output_open(&out, path))
        return false;
    lt_output_write(&out, "!<arch>\n", 8);
    write_member_header(&out, "/", padded);
    write_big_endian(&out, (uint32_t)member->symbol_count);
    for (size_t i = 0; i < member->symbol_count; i++)
        write_big_endian(&out, (uint32_t)(8 + 60 + padded));
    for (size_t i = 0; i < member->symbol_count; i++)
        lt_output_write(&out, member->symbols[i], strlen(member->symbols[i]) + 1);
    lt_output_pad_to(&out, 8 + 60 + padded);
    snprintf(name, sizeof name, "%.15s/", member->name);
    write_member_header(&out, name, code->size);
    lt_output_write(&out, code->data, code->size);
    lt_output_pad_to(&out, (out.offset + 1) / 2 * 2);
    return lt_output_commit(&out, 0644);
}
