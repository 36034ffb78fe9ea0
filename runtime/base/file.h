/* file.h - mapping files for reading, and writing them all or not at all. */
#ifndef LATHE_BASE_FILE_H
#define LATHE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A read-only view of a whole regular file. Empty files have size 0 and data "". */
typedef struct MappedFile {
    const uint8_t *data;
    size_t size;
} MappedFile;

/* Maps `path`. On failure returns false and writes a sentence without the path ("No such file or
 * directory", "is a directory", ...) into error[error_size]. */
bool lt_file_map(MappedFile *file, const char *path, char *error, size_t error_size);
void lt_file_unmap(MappedFile *file);
/* The pages that lie in `data` as a whole leave memory; they come back when they are read. Does
 * nothing where `data` is not of this file. */
void lt_file_forget(const MappedFile *file, const void *data, size_t size);

/* A file being written beside its final place: FINAL.tmp.PID, renamed by commit, unlinked by
 * discard. */
typedef struct OutputFile {
    int fd;
    char *path;      /* final path, owned */
    char *temp_path; /* owned */
    uint64_t offset; /* bytes written so far */
    int error;       /* first errno, sticky */
} OutputFile;

/* `path` "-" writes to standard output (nothing to rename). False: errno tells why. */
bool lt_output_open(OutputFile *out, const char *path);
void lt_output_write(OutputFile *out, const void *data, size_t size); /* errors are sticky */
void lt_output_pad_to(OutputFile *out, uint64_t offset);              /* zeros up to offset */
/* mode e.g. 0644 or 0755 (umask applies). False: errno tells; the temporary file is gone. */
bool lt_output_commit(OutputFile *out, unsigned mode);
void lt_output_discard(OutputFile *out);

#endif
