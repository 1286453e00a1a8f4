/*
 * The file of what was learnt, see remember.h.
 *
 * Why the main thread writes it: a wire thread must not wait for a disk.  Refusals only ever grow, and those before
 * their count never change, so they are read while the wires go on.
 */
#include "app/remember.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *remember_path(const struct plan *plan, struct arena *arena)
{
	const char *folder = getenv("STATE_DIRECTORY"), *buffer = plan->buffer.path;
	if (!folder || !*folder)
		return buffer ? arena_format(arena, "%s.learnt", buffer) : NULL;
	const char *slash = buffer ? strrchr(buffer, '/') : NULL;
	const char *name = slash ? slash + 1 : buffer;
	/* systemd separates several by colons; the first one is ours */
	return arena_format(
		arena, "%.*s/%s%s", (int)strcspn(folder, ":"), folder, name ? name : "", name ? ".learnt" : "learnt");
}

void remember_load(const struct plan *plan, struct learnt *ret_learnt, struct arena *arena)
{
	const char *path = remember_path(plan, arena);
	*ret_learnt = (struct learnt){0};
	if (!path)
		return;
	int rc = learnt_load(path, ret_learnt, arena);
	if (rc < 0 && rc != -ENOENT && rc != -EACCES)
		log_info("%s: %s; refused gaps will be learnt anew", path, strerror(-rc));
}

void remember_init(struct remember *remember, const struct plan *plan)
{
	*remember = (struct remember){.plan = plan};
	remember->path = remember_path(plan, &remember->arena);
}

void remember_destroy(struct remember *remember)
{
	arena_free(&remember->arena);
}

static uint64_t count_kept(const struct refusals *refusals)
{
	uint64_t kept = 0;
	uint32_t n = atomic_load_explicit(&refusals->n, memory_order_acquire);
	for (uint32_t i = 0; i < n; i++)
		kept += refusals->kept[i];
	return kept;
}

static int write_file(const struct remember *remember, struct poller *const *pollers, size_t n_pollers)
{
	const struct plan *plan = remember->plan;
	size_t head = strlen(LEARNT_HEAD), at = head;
	char *text = malloc(head + plan->n_devices * REFUSALS_MAX * LEARNT_LINE_SIZE + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, LEARNT_HEAD, head + 1);
	for (size_t p = 0; p < n_pollers; p++) {
		size_t n;
		const struct wire *wires = poller_wires(pollers[p], &n);
		for (size_t w = 0; w < n; w++)
			for (uint32_t d = 0; wires[w].bus && d < wires[w].told->n_devices; d++) {
				const struct device *device = &wires[w].bus->devices[d];
				at += learnt_print(plan, device->told, &device->refusals, text + at);
			}
	}
	int rc = learnt_save(remember->path, text, at);
	free(text);
	return rc;
}

void remember_keep(struct remember *remember, struct poller *const *pollers, size_t n_pollers)
{
	uint64_t n_kept = 0;
	if (!remember->path)
		return;
	for (size_t p = 0; p < n_pollers; p++) {
		size_t n;
		const struct wire *wires = poller_wires(pollers[p], &n);
		for (size_t w = 0; w < n; w++)
			for (uint32_t d = 0; wires[w].bus && d < wires[w].told->n_devices; d++)
				n_kept += count_kept(&wires[w].bus->devices[d].refusals);
	}
	if (n_kept == remember->n_kept)
		return;
	remember->n_kept = n_kept;
	int rc = write_file(remember, pollers, n_pollers);
	if (rc < 0 && !remember->told) {
		remember->told = true;
		log_info("%s: %s; refused gaps will be learnt anew after a restart", remember->path, strerror(-rc));
	}
}
