/*
 * Gives each file of the folders that are named to the fuzz target, and what is left when its end is cut off: without
 * libFuzzer, so that what it once found is looked at in every build.
 */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#define CUTS 8

static size_t replay(const char *path)
{
	FILE *from = fopen(path, "r");
	struct stat status;
	if (!from || fstat(fileno(from), &status) < 0 || !S_ISREG(status.st_mode)) {
		if (from)
			fclose(from);
		return 0;
	}
	size_t size = (size_t)status.st_size;
	uint8_t *data = malloc(size + 1);
	if (!data || fread(data, 1, size, from) != size)
		abort();
	fclose(from);
	for (size_t i = 0; i <= CUTS; i++) {
		size_t n = size * i / CUTS;
		uint8_t *part = malloc(n + 1); /* of this very size, so that a sanitizer sees a step beyond it */
		if (!part)
			abort();
		memcpy(part, data, n);
		LLVMFuzzerTestOneInput(part, n);
		free(part);
	}
	free(data);
	return 1;
}

int main(int argc, char **argv)
{
	size_t n = 0;
	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		struct dirent *entry;
		while (folder && (entry = readdir(folder)) != NULL) {
			char path[4096];
			snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
			n += replay(path);
		}
		if (folder)
			closedir(folder);
		else
			n += replay(argv[i]);
	}
	printf("%zu files\n", n);
	return n ? 0 : 1;
}
