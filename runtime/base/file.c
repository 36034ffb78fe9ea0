/* file.c - mapping and atomic writing. A file is written under a temporary name in the same folder
 * and renamed when it is complete, so that nobody sees half of it and a failure leaves the old one.
 * (No fsync: after a power cut the build is run again.) Devices and pipes are written directly. */
#include "runtime/base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool refuse(char *error, size_t error_size, const char *why) {
    snprintf(error, error_size, "%s", why);
    return false;
}

static bool map_open_file(MappedFile *file, int fd, char *error, size_t error_size) {
    struct stat info;
    if (fstat(fd, &info) != 0)
        return refuse(error, error_size, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return refuse(error, error_size, "is a directory");
    if (!S_ISREG(info.st_mode))
        return refuse(error, error_size, "is not a regular file");
    if (info.st_size == 0) /* mmap refuses length 0 */
        return true;
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return refuse(error, error_size, strerror(errno));
    *file = (MappedFile){.data = data, .size = (size_t)info.st_size};
    return true;
}

bool lt_file_map(MappedFile *file, const char *path, char *error, size_t error_size) {
    *file = (MappedFile){.data = (const uint8_t *)""};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait */
    if (fd < 0)
        return refuse(error, error_size, strerror(errno));
    bool mapped = map_open_file(file, fd, error, error_size);
    close(fd); /* the mapping stays */
    return mapped;
}

void lt_file_unmap(MappedFile *file) {
    if (file->size > 0)
        munmap((void *)(uintptr_t)file->data, file->size);
    *file = (MappedFile){.data = (const uint8_t *)""};
}

void lt_file_forget(const MappedFile *file, const void *data, size_t size) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)data;
    const uintptr_t first = (start + page - 1) & ~(page - 1), end = (start + size) & ~(page - 1);
    const uintptr_t map = (uintptr_t)file->data;
    if (start >= map && size <= file->size && start - map <= file->size - size && first < end)
        madvise((void *)first, end - first, MADV_DONTNEED); /* private, never written: as in file */
}

/* Created executable, less the umask: commit can then take bits away without asking for the umask,
 * which can only be read by changing it. */
static int create_temp(const char *path) {
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = open(path, flags, 0777);
    if (fd < 0 && errno == EEXIST && unlink(path) == 0) /* a killed process of this id left it */
        fd = open(path, flags, 0777);
    return fd;
}

/* Where a link points, so that the link survives; the path itself when that does not exist yet. */
static char *resolve(const char *path) {
    struct stat info;
    char *target = lstat(path, &info) == 0 && S_ISLNK(info.st_mode) ? realpath(path, NULL) : NULL;
    return target ? target : strdup(path);
}

static bool forget(OutputFile *out, int error) {
    free(out->path);
    free(out->temp_path);
    *out = (OutputFile){.fd = -1, .error = error};
    errno = error;
    return error == 0;
}

static bool open_resolved(OutputFile *out) {
    struct stat info;
    bool exists = stat(out->path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return forget(out, EISDIR);
    if (exists && !S_ISREG(info.st_mode)) {
        out->fd = open(out->path, O_WRONLY | O_CLOEXEC);
    } else {
        if (asprintf(&out->temp_path, "%s.tmp.%ld", out->path, (long)getpid()) < 0) {
            out->temp_path = NULL;
            return forget(out, ENOMEM);
        }
        out->fd = create_temp(out->temp_path);
    }
    return out->fd >= 0 || forget(out, errno);
}

bool lt_output_open(OutputFile *out, const char *path) {
    *out = (OutputFile){.fd = STDOUT_FILENO};
    if (strcmp(path, "-") == 0)
        return true;
    out->fd = -1;
    out->path = path[0] ? resolve(path) : NULL;
    if (!out->path)
        return forget(out, path[0] ? ENOMEM : ENOENT);
    return open_resolved(out);
}

void lt_output_write(OutputFile *out, const void *data, size_t size) {
    const uint8_t *bytes = data;
    while (size > 0 && !out->error) {
        ssize_t written = write(out->fd, bytes, size);
        if (written < 0) {
            out->error = errno == EINTR ? 0 : errno;
            continue;
        }
        bytes += written;
        size -= (size_t)written;
        out->offset += (uint64_t)written;
    }
}

void lt_output_pad_to(OutputFile *out, uint64_t offset) {
    static const uint8_t zeros[4096];
    assert(out->error || offset >= out->offset);
    while (out->offset < offset && !out->error) {
        uint64_t gap = offset - out->offset;
        lt_output_write(out, zeros, gap < sizeof zeros ? (size_t)gap : sizeof zeros);
    }
}

static int set_mode(int fd, unsigned mode) {
    struct stat info;
    if (fstat(fd, &info) != 0 || fchmod(fd, info.st_mode & mode & 0777) != 0)
        return errno;
    return 0;
}

bool lt_output_commit(OutputFile *out, unsigned mode) {
    int error = out->error;
    if (!error && out->temp_path)
        error = set_mode(out->fd, mode);
    if (out->path && close(out->fd) != 0 && !error)
        error = errno;
    if (!error && out->temp_path && rename(out->temp_path, out->path) != 0)
        error = errno;
    if (error && out->temp_path)
        unlink(out->temp_path);
    return forget(out, error);
}

void lt_output_discard(OutputFile *out) {
    if (out->path) {
        close(out->fd);
        if (out->temp_path)
            unlink(out->temp_path);
    }
    forget(out, 0);
}
