/*
 * The file of what was learnt, see remember.h.
 *
 * Why the main thread writes it: a wire thread must not wait for a disk.  Refusals only ever grow, and those before
 * their count never change, so they are read while the wires go on.
 */
#include "app/remember.h"
#include "base/log.h"
#include "base/whole_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *remember_path(const struct plan *plan, const char *what, struct arena *arena)
{
	const char *folder = getenv("STATE_DIRECTORY"), *buffer = plan->buffer.path;
	if (!folder || !*folder)
		return buffer ? arena_format(arena, "%s.%s", buffer, what) : NULL;
	const char *slash = buffer ? strrchr(buffer, '/') : NULL;
	const char *name = slash ? slash + 1 : buffer;
	/* systemd separates several by colons; the first one is ours */
	return arena_format(
		arena, "%.*s/%s%s%s", (int)strcspn(folder, ":"), folder, name ? name : "", name ? "." : "", what);
}

void remember_load(const struct plan *plan, struct learnt *ret_learnt, struct arena *arena)
{
	const char *path = remember_path(plan, "learnt", arena);
	*ret_learnt = (struct learnt){0};
	if (!path)
		return;
	int rc = learnt_load(path, ret_learnt, arena);
	if (rc < 0 && rc != -ENOENT && rc != -EACCES)
		log_info("%s: %s; refused gaps will be learnt anew", path, strerror(-rc));
}

void remember_init(struct remember *remember, const struct plan *plan)
{
	*remember = (struct remember){0};
	remember->path = remember_path(plan, "learnt", &remember->arena);
}

void remember_destroy(struct remember *remember)
{
	arena_free(&remember->arena);
}

struct walk_of_devices {
	struct wire_walk wires;
	const struct wire *wire;
	uint32_t device;
};

static uint64_t count_kept(const struct refusals *refusals)
{
	uint64_t kept = 0;
	uint32_t n = atomic_load_explicit(&refusals->n, memory_order_acquire);
	for (uint32_t i = 0; i < n; i++)
		kept += refusals->kept[i];
	return kept;
}

/* The devices that are asked for registers, one after the other; NULL after the last. */
static const struct device *next_device(struct poller *const *pollers, size_t n_pollers, struct walk_of_devices *walk)
{
	while (!walk->wire || !walk->wire->bus || walk->device == walk->wire->told->n_devices) {
		walk->wire = poller_next_wire(pollers, n_pollers, &walk->wires);
		walk->device = 0;
		if (!walk->wire)
			return NULL;
	}
	return &walk->wire->bus->devices[walk->device++];
}

static int write_file(const struct remember *remember, struct poller *const *pollers, size_t n_pollers)
{
	size_t head = strlen(LEARNT_HEAD), at = head, n_devices = 0;
	const struct device *device;
	for (struct walk_of_devices walk = {0}; next_device(pollers, n_pollers, &walk);)
		n_devices++;
	char *text = malloc(head + n_devices * REFUSALS_MAX * LEARNT_LINE_SIZE + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, LEARNT_HEAD, head + 1);
	for (struct walk_of_devices walk = {0}; (device = next_device(pollers, n_pollers, &walk));)
		at += learnt_print(device->plan, device->told, &device->refusals, text + at);
	int rc = whole_file_save(remember->path, text, at);
	free(text);
	return rc;
}

void remember_keep(struct remember *remember, struct poller *const *pollers, size_t n_pollers)
{
	uint64_t n_kept = 0;
	if (!remember->path)
		return;
	const struct device *device;
	for (struct walk_of_devices walk = {0}; (device = next_device(pollers, n_pollers, &walk));)
		n_kept += count_kept(&device->refusals);
	if (n_kept == remember->n_kept)
		return;
	remember->n_kept = n_kept;
	int rc = write_file(remember, pollers, n_pollers);
	if (rc < 0 && !remember->told) {
		remember->told = true;
		log_info("%s: %s; refused gaps will be learnt anew after a restart", remember->path, strerror(-rc));
	}
}
