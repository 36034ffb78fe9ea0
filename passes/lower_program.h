/* lower_program.h - between lower_program.c, which makes steps of nodes, and lower_control.c, which
 * makes them of branches and loops. */
#ifndef LATHE_PASSES_LOWER_PROGRAM_H
#define LATHE_PASSES_LOWER_PROGRAM_H

#include "passes/lower.h"

typedef struct Assembly {
    PassContext *ctx;
    Module *module;
    Program *program;
    Map buffers;  /* id of a value that is no view -> number + 1 */
    Map weights;  /* id of a constant -> number + 1 */
    Map kernels;  /* naive text -> number + 1 */
    Map names;    /* of kernels */
    Map reserved; /* numbers of slots and outputs that have their memory */
} Assembly;

/* Conv_23+Relu_24 */
const char *lt_step_name(Assembly *a, const Node *node);
const Dim *lt_buffer_bytes(Assembly *a, const Type *type);
/* The number of the value's buffer, which is made when there is none. */
uint32_t lt_buffer_of(Assembly *a, Value *value);
/* Whether the value has one already. */
bool lt_buffer_is_known(const Assembly *a, Value *value);
/* A buffer that no value has yet, for a tensor of this type. */
uint32_t lt_buffer_new(Assembly *a, const Type *type, const char *name);
/* The value shares a buffer that is there. */
void lt_buffer_set(Assembly *a, Value *value, uint32_t number);
/* Whether its memory is found during the run. */
bool lt_buffer_is_reserved(Assembly *a, uint32_t number);
/* Fills in the live ranges of the step's buffers, and reserves those that need it first. */
void lt_step_add(Assembly *a, Step step);
/* Memory for a tensor of this type. */
void lt_step_reserve(Assembly *a, uint32_t buffer, const Type *type);
void lt_step_copy(Assembly *a, const char *name, uint32_t from, uint32_t to, const Dim *bytes,
                  const Dim *offset);
/* The number of this kernel or of an equal one, which is scheduled when it is the first; one with a
 * suffix for its name comes with its schedule. */
uint32_t lt_lower_add_kernel(Assembly *a, const Node *node, const char *suffix, Kernel *k);
/* All nodes of a graph but its yield. */
bool lt_lower_graph(Assembly *a, Graph *g);

/* lower_control.c */
bool lt_lower_branches(Assembly *a, Node *node);
bool lt_lower_iterations(Assembly *a, Node *node);

#endif
