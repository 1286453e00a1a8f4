/*
 * A name service for tests, loaded before a program (LD_PRELOAD): names that end with ".test" are looked up in the file
 * that BUSFERRY_HOSTS names, in lines of "name address", read anew each time; a name that is not there can't be
 * resolved for now, as when no name server answers.  All others go to the real one.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	lookup *real = NULL;
	void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
	memcpy(&real, &symbol, sizeof(real));
	size_t n = node ? strlen(node) : 0;
	if (n < 5 || strcmp(node + n - 5, ".test") != 0)
		return real(node, service, hints, ret);
	const char *path = getenv("BUSFERRY_HOSTS");
	FILE *file = path ? fopen(path, "re") : NULL;
	char line[256], name[128], address[64];
	int error = EAI_AGAIN;
	while (file && error && fgets(line, sizeof(line), file))
		if (sscanf(line, "%127s %63s", name, address) == 2 && strcmp(name, node) == 0)
			error = real(address, service, hints, ret);
	if (file)
		fclose(file);
	return error;
}
