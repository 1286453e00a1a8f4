/*
 * Resident code: see pages.h.
 *
 * Why: the start runs through much more code than the years after it (the linker, the map, the opening of SQLite and
 * OpenSSL), and the kernel brings in 64 kB around every page that is touched.  On a Pi Zero those 2 MB of the page
 * cache are better kept for what is in use.
 *
 * Only segments that are never writable, code and constants: nothing in them is ever changed, so what is dropped is
 * what the file has.  What was relocated and is read-only since then lies in a segment that says that it is writable.
 */
#include "base/pages.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int give_back(struct dl_phdr_info *object, size_t size, void *user)
{
	(void)size;
	uintptr_t page = *(const uintptr_t *)user;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
			continue;
		uintptr_t from = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		uintptr_t to = object->dlpi_addr + segment->p_vaddr + segment->p_filesz;
		madvise((void *)from, to - from, MADV_DONTNEED); // NOLINT(performance-no-int-to-ptr)
	}
	return 0;
}

void pages_give_back(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	dl_iterate_phdr(give_back, &page);
}
