/*
 * See recorder.h.  SQLite is seen through the shim; what the journal does to files by itself through the linker's
 * --wrap of rename, unlink, fsync, pwrite, ftruncate, fallocate and posix_fallocate.
 */
#include "recorder.h"
#include "shim.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES  256
#define NAMES  64
#define SECTOR 512

enum kind { MADE, WRITTEN, SIZED, SYNCED, RENAMED, REMOVED, FOLDER_SYNCED };

struct event {
	enum kind kind;
	unsigned file;   /* MADE .. SYNCED */
	char name[48];   /* MADE, RENAMED, REMOVED */
	char target[48]; /* RENAMED */
	int64_t offset, n;
	size_t bytes_at;
};

struct image {
	char *bytes;
	int64_t n, size;
};

struct name {
	char text[48];
	unsigned file;
};

struct disk {
	struct image files[FILES];
	struct name names[NAMES];
	unsigned n_names;
};

static struct event *events;
static unsigned n_events, events_size;
static char *store;
static size_t store_n, store_size;
static bool recording, swallowing;
static char folder[80];
static struct disk present; /* names only: while recording */
static unsigned n_files;

static struct disk durable, after;
static unsigned *pending, n_pending, at;
static const char *choice = "";

static struct event *event_add(enum kind kind)
{
	if (n_events == events_size) {
		events_size = events_size ? events_size * 2 : 1024;
		events = realloc(events, events_size * sizeof(*events));
		yard_must(events != NULL, "no memory");
	}
	events[n_events] = (struct event){.kind = kind};
	return &events[n_events++];
}

static struct name *name_of(struct disk *disk, const char *text)
{
	for (unsigned i = 0; i < disk->n_names; i++)
		if (strcmp(disk->names[i].text, text) == 0)
			return &disk->names[i];
	return NULL;
}

static void name_drop(struct disk *disk, const char *text)
{
	struct name *name = name_of(disk, text);
	if (name)
		*name = disk->names[--disk->n_names];
}

static void name_add(struct disk *disk, const char *text, unsigned file)
{
	name_drop(disk, text);
	yard_must(disk->n_names < NAMES, "too many names");
	snprintf(disk->names[disk->n_names].text, sizeof(disk->names[0].text), "%s", text);
	disk->names[disk->n_names++].file = file;
}

static void name_event(struct disk *disk, const struct event *event)
{
	const struct name *old = event->kind == RENAMED ? name_of(disk, event->name) : NULL;
	if (event->kind == MADE)
		name_add(disk, event->name, event->file);
	else if (event->kind == REMOVED)
		name_drop(disk, event->name);
	else if (old) {
		unsigned file = old->file;
		name_drop(disk, event->name);
		name_add(disk, event->target, file);
	}
}

/* The name within the folder; NULL when it is elsewhere or nothing is recorded. */
static const char *in_folder(const char *path)
{
	size_t n = strlen(folder);
	return recording && strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static void saw_opened(const char *path)
{
	const char *name = in_folder(path);
	if (!name || name_of(&present, name))
		return;
	struct event *event = event_add(MADE);
	event->file = n_files++;
	yard_must(n_files <= FILES, "too many files");
	snprintf(event->name, sizeof(event->name), "%s", name);
	name_event(&present, event);
}

static struct event *saw_file(enum kind kind, const char *path)
{
	const char *name = in_folder(path);
	if (!name)
		return NULL;
	saw_opened(path);
	unsigned file = name_of(&present, name)->file;
	struct event *event = event_add(kind);
	event->file = file;
	return event;
}

static void saw_written(const char *path, const void *bytes, int64_t offset, size_t n)
{
	struct event *event = saw_file(WRITTEN, path);
	if (!event)
		return;
	if (store_n + n > store_size) {
		store_size = (store_n + n) * 2;
		store = realloc(store, store_size);
		yard_must(store != NULL, "no memory");
	}
	memcpy(store + store_n, bytes, n);
	event->offset = offset;
	event->n = (int64_t)n;
	event->bytes_at = store_n;
	store_n += n;
}

static void saw_sized(const char *path, int64_t size)
{
	struct event *event = saw_file(SIZED, path);
	if (event)
		event->n = size;
}

static void saw_synced(const char *path)
{
	if (!swallowing)
		saw_file(SYNCED, path);
}

static void saw_renamed(const char *path, const char *target)
{
	const char *from = in_folder(path), *to = in_folder(target);
	if (!from || !to)
		return;
	struct event *event = event_add(to[0] ? RENAMED : REMOVED);
	snprintf(event->name, sizeof(event->name), "%s", from);
	snprintf(event->target, sizeof(event->target), "%s", to);
	name_event(&present, event);
}

static void saw_removed(const char *path)
{
	const char *name = in_folder(path);
	if (!name)
		return;
	struct event *event = event_add(REMOVED);
	snprintf(event->name, sizeof(event->name), "%s", name);
	name_event(&present, event);
}

static void saw_folder_synced(void)
{
	if (recording && !swallowing)
		event_add(FOLDER_SYNCED);
}

static void saw(enum shim_op op, const char *path, const void *bytes, int64_t offset, int64_t n)
{
	switch (op) {
	case SHIM_OPEN:
		saw_opened(path);
		break;
	case SHIM_WRITE:
		saw_written(path, bytes, offset, (size_t)n);
		break;
	case SHIM_SIZE:
		saw_sized(path, n);
		break;
	case SHIM_SYNC: /* the VFS of the system syncs the folder with the first sync of a new file */
		saw_synced(path);
		break;
	case SHIM_DELETE:
		saw_removed(path);
		if (n)
			saw_folder_synced();
		break;
	case SHIM_READ:
		break;
	}
}

/* What the journal does without SQLite. */
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_fsync(int fd);
ssize_t __real_pwrite64(int fd, const void *bytes, size_t n, off_t offset);
int __real_ftruncate64(int fd, off_t size);
int __real_posix_fallocate64(int fd, off_t offset, off_t n);
int __real_fallocate64(int fd, int mode, off_t offset, off_t n);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_fsync(int fd);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t offset);
int __wrap_ftruncate64(int fd, off_t size);
int __wrap_posix_fallocate64(int fd, off_t offset, off_t n);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t n);

static const char *path_of(int fd)
{
	static char path[256];
	char link[64];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return path;
}

int __wrap_rename(const char *from, const char *to)
{
	int rc = __real_rename(from, to);
	if (rc == 0)
		saw_renamed(from, to);
	return rc;
}

int __wrap_unlink(const char *path)
{
	int rc = __real_unlink(path);
	if (rc == 0)
		saw_removed(path);
	return rc;
}

int __wrap_fsync(int fd)
{
	struct stat st;
	int rc = __real_fsync(fd);
	if (rc == 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		saw_folder_synced();
	else if (rc == 0)
		saw_synced(path_of(fd));
	return rc;
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t offset)
{
	ssize_t rc = __real_pwrite64(fd, bytes, n, offset);
	if (rc > 0)
		saw_written(path_of(fd), bytes, offset, (size_t)rc);
	return rc;
}

int __wrap_ftruncate64(int fd, off_t size)
{
	int rc = __real_ftruncate64(fd, size);
	if (rc == 0)
		saw_sized(path_of(fd), size);
	return rc;
}

int __wrap_posix_fallocate64(int fd, off_t offset, off_t n)
{
	struct stat before, now;
	fstat(fd, &before);
	int rc = __real_posix_fallocate64(fd, offset, n);
	if (rc == 0 && fstat(fd, &now) == 0 && now.st_size != before.st_size)
		saw_sized(path_of(fd), now.st_size);
	return rc;
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t n)
{
	struct stat before, now;
	fstat(fd, &before);
	int rc = __real_fallocate64(fd, mode, offset, n);
	if (rc == 0 && fstat(fd, &now) == 0 && now.st_size != before.st_size)
		saw_sized(path_of(fd), now.st_size);
	return rc;
}

void recorder_begin(const struct yard *yard, bool swallow_syncs)
{
	static const struct shim shim = {.after = saw};
	shim_install(&shim);
	snprintf(folder, sizeof(folder), "%s", yard->folder);
	n_events = n_files = 0;
	store_n = 0;
	present.n_names = 0;
	swallowing = swallow_syncs;
	recording = true;
}

unsigned recorder_now(void)
{
	return n_events;
}

void recorder_poke(const char *path, const void *bytes, int64_t offset, size_t n)
{
	saw_written(path, bytes, offset, n);
	saw_file(SYNCED, path);
}

void recorder_end(void)
{
	recording = false;
}

static void image_room(struct image *image, int64_t n)
{
	if (n <= image->size)
		return;
	int64_t size = n * 3 / 2;
	image->bytes = realloc(image->bytes, (size_t)size);
	yard_must(image->bytes != NULL, "no memory");
	memset(image->bytes + image->size, 0, (size_t)(size - image->size));
	image->size = size;
}

static void image_resize(struct image *image, int64_t n)
{
	image_room(image, n);
	if (n < image->n)
		memset(image->bytes + n, 0, (size_t)(image->n - n));
	image->n = n;
}

static void image_write(struct image *image, const struct event *event, int64_t from, int64_t n)
{
	if (n <= 0)
		return;
	if (event->offset + from + n > image->n)
		image_resize(image, event->offset + from + n);
	memcpy(image->bytes + event->offset + from, store + event->bytes_at + from, (size_t)n);
}

static void file_event(struct disk *disk, const struct event *event)
{
	struct image *image = &disk->files[event->file];
	if (event->kind == WRITTEN)
		image_write(image, event, 0, event->n);
	else if (event->kind == SIZED)
		image_resize(image, event->n);
}

static bool is_of_names(const struct event *event)
{
	return event->kind == MADE || event->kind == RENAMED || event->kind == REMOVED;
}

/* Makes durable what waits of a file, and the names up to the one that it was made under; UINT_MAX: all names. */
static void settle(unsigned file)
{
	unsigned kept = 0, names_upto = 0;
	for (unsigned i = 0; i < n_pending; i++) {
		const struct event *event = &events[pending[i]];
		if (is_of_names(event) && (file == UINT32_MAX || (event->kind == MADE && event->file == file)))
			names_upto = i + 1;
	}
	for (unsigned i = 0; i < n_pending; i++) {
		const struct event *event = &events[pending[i]];
		bool names = is_of_names(event);
		if (names && i < names_upto)
			name_event(&durable, event);
		else if (!names && event->file == file)
			file_event(&durable, event);
		else
			pending[kept++] = pending[i];
	}
	n_pending = kept;
}

void recorder_rewind(void)
{
	at = n_pending = 0;
	durable.n_names = 0;
	for (unsigned i = 0; i < FILES; i++)
		image_resize(&durable.files[i], 0);
	pending = realloc(pending, (n_events + 1) * sizeof(*pending));
	yard_must(pending != NULL, "no memory");
}

static void advance(unsigned instant)
{
	for (; at < instant && at < n_events; at++) {
		if (events[at].kind == SYNCED)
			settle(events[at].file);
		else if (events[at].kind == FOLDER_SYNCED)
			settle(UINT32_MAX);
		else
			pending[n_pending++] = at;
	}
}

static void copy_disk(void)
{
	after.n_names = durable.n_names;
	memcpy(after.names, durable.names, sizeof(after.names));
	for (unsigned i = 0; i < n_files; i++) {
		image_resize(&after.files[i], 0);
		image_resize(&after.files[i], durable.files[i].n);
		if (durable.files[i].n)
			memcpy(after.files[i].bytes, durable.files[i].bytes, (size_t)durable.files[i].n);
	}
}

/* Sectors of a write, each by chance. */
static void tear(const struct event *event, struct chance *chance)
{
	for (int64_t from = 0; from < event->n;) {
		int64_t n = SECTOR - (event->offset + from) % SECTOR;
		n = n < event->n - from ? n : event->n - from;
		if (chance_below(chance, 2))
			image_write(&after.files[event->file], event, from, n);
		from += n;
	}
}

static void shuffle(unsigned *numbers, unsigned n, struct chance *chance)
{
	for (unsigned i = n; i > 1; i--) {
		unsigned other = chance_below(chance, i), number = numbers[i - 1];
		numbers[i - 1] = numbers[other];
		numbers[other] = number;
	}
}

static void choose(struct chance *chance)
{
	static const char *const choices[] = {"dropped", "kept", "cut", "some", "some, torn, in any order"};
	unsigned mode = chance_below(chance, 5), n_names = 0, n = 0;
	choice = choices[mode];
	unsigned *writes = malloc((n_pending + 1) * sizeof(*writes));
	yard_must(writes != NULL, "no memory");
	for (unsigned i = 0; i < n_pending; i++)
		n_names += is_of_names(&events[pending[i]]);
	unsigned keep_names = mode == 0 ? 0 : mode == 1 ? n_names : chance_below(chance, n_names + 1);
	for (unsigned i = 0; i < n_pending; i++) {
		if (!is_of_names(&events[pending[i]]))
			writes[n++] = pending[i];
		else if (keep_names && keep_names--)
			name_event(&after, &events[pending[i]]);
	}
	unsigned upto = mode == 2 ? chance_below(chance, n + 1) : n;
	if (mode == 4)
		shuffle(writes, n, chance);
	for (unsigned i = 0; i < n && mode != 0; i++) {
		const struct event *event = &events[writes[i]];
		bool torn = event->kind == WRITTEN &&
			    ((mode == 2 && i == upto) || (mode == 4 && chance_below(chance, 3) == 0));
		if (torn)
			tear(event, chance);
		else if (i < upto && (mode < 3 || chance_below(chance, 2)))
			file_event(&after, event);
	}
	free(writes);
}

static void put_file(const char *path, const struct image *image)
{
	static const char zeros[4096];
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	yard_must(fd >= 0 && __real_ftruncate64(fd, image->n) == 0, "can't write %s", path);
	for (int64_t i = 0; i < image->n; i += 4096) {
		size_t n = image->n - i < 4096 ? (size_t)(image->n - i) : 4096;
		if (memcmp(image->bytes + i, zeros, n) != 0)
			yard_must(__real_pwrite64(fd, image->bytes + i, n, i) == (ssize_t)n, "can't fill %s", path);
	}
	close(fd);
}

void recorder_cut(const struct yard *yard, unsigned instant, struct chance *chance)
{
	advance(instant);
	copy_disk();
	choose(chance);
	yard_empty(yard);
	for (unsigned i = 0; i < after.n_names; i++) {
		char path[160];
		snprintf(path, sizeof(path), "%s/%s", yard->folder, after.names[i].text);
		put_file(path, &after.files[after.names[i].file]);
	}
}

const char *recorder_choice(void)
{
	return choice;
}
