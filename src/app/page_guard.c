/*
 * The guard of the status page.  See page_guard.h.
 *
 * Why a name without its domain and nothing that merely begins with it: "pi.local" is the machine's own on its network,
 * "pi.example" is whoever's.  Any port is as good, since ports are forwarded (ssh -L).
 *
 * A password is compared to its end, whatever differs, so its length is all that time could tell.
 */
#include "app/page_guard.h"
#include "model/line_text.h"
#include "ship/secret.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* 4, 6, or 0. */
static int family_of(const char *host, uint8_t ret_bytes[static 16])
{
	return inet_pton(AF_INET, host, ret_bytes) == 1 ? 4 : inet_pton(AF_INET6, host, ret_bytes) == 1 ? 6 : 0;
}

bool page_is_address(const char *host)
{
	uint8_t bytes[16];
	return strcasecmp(host, "localhost") == 0 || family_of(host, bytes) != 0;
}

bool page_is_loopback(const char *host)
{
	static const uint8_t one[16] = {[15] = 1};
	uint8_t bytes[16];
	int family = family_of(host, bytes);
	if (family == 0)
		return strcasecmp(host, "localhost") == 0;
	return family == 4 ? bytes[0] == 127 : memcmp(bytes, one, sizeof(one)) == 0;
}

static bool is_machine(const char *host, const char *machine)
{
	char local[300];
	size_t first = strcspn(machine, ".");
	snprintf(local, sizeof(local), "%.*s.local", (int)first, machine);
	return machine[0] && (strcasecmp(host, machine) == 0 || strcasecmp(host, local) == 0 ||
				     (strlen(host) == first && strncasecmp(host, machine, first) == 0));
}

bool page_host_allowed(const struct plan_page *page, const char *machine, const char *header)
{
	char host[256];
	uint16_t port;
	if (!header || host_text_parse(header, 80, host, sizeof(host), &port) < 0)
		return false;
	if (page_is_loopback(host) || strcasecmp(host, page->host) == 0)
		return true;
	return page->allow_remote && (page_is_address(host) || is_machine(host, machine));
}

/* RFC 4648, section 4.  Bytes, or -1. */
static int decode(const char *text, char *into, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, n_bits = 0;
	size_t n = 0;
	for (; *text && *text != '='; text++) {
		const char *digit = strchr(digits, *text);
		if (!digit || n == size)
			return -1;
		bits = bits << 6 | (unsigned)(digit - digits);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			into[n++] = (char)(bits >> n_bits & 0xff);
		}
	}
	return (int)n;
}

static bool same(const char *a, size_t n, const char *b)
{
	size_t length = strlen(b);
	unsigned differ = n != length;
	for (size_t i = 0; i < n; i++)
		differ |= (unsigned)(unsigned char)a[i] ^ (unsigned)(unsigned char)b[length ? i % length : 0];
	return differ == 0 && n > 0;
}

int page_password(const char *path, const char *header)
{
	char wanted[SECRET_MAX], given[SECRET_MAX];
	int n = header && strncasecmp(header, "Basic ", 6) == 0 ? decode(header + 6, given, sizeof(given)) : -1;
	const char *colon = n > 0 ? memchr(given, ':', (size_t)n) : NULL;
	if (!colon)
		return -EKEYREJECTED;
	int rc = secret_read(path, wanted);
	if (rc == 0) {
		rc = same(colon + 1, (size_t)(given + n - colon - 1), wanted) ? 0 : -EKEYREJECTED;
		secret_wipe(wanted);
	}
	secret_wipe(given);
	return rc;
}
