/*
 * Who may look at the status page: what a request must show before anything is answered.
 *
 * A page on the loopback is within reach of every web site that a browser of this machine has open: a name of theirs
 * can be made to mean 127.0.0.1 (DNS rebinding).  What they can't choose is the Host header, which bears that name.
 *
 * Pure but for page_password; any thread.
 */
#ifndef APP_PAGE_GUARD_H
#define APP_PAGE_GUARD_H

#include "model/plan.h"

#include <stdbool.h>

/* Is it an IPv4 or IPv6 address in digits, or "localhost"? */
bool page_is_address(const char *host);

/* Is it one that only this machine can reach? */
bool page_is_loopback(const char *host);

/*
 * May a request with this Host header (NULL = none) be answered?  The loopback's names and addresses and where the page
 * listens always; with allow_remote any address in digits and the machine's own name, also with ".local".
 */
bool page_host_allowed(const struct plan_page *page, const char *machine, const char *header);

/* What an Authorization header (NULL = none) is worth: 0 = the password of the file, after any user's name (RFC 7617);
 * -EKEYREJECTED = another one or none; another -errno, -EACCES among them, when the file can't be read. */
int page_password(const char *path, const char *header);

#endif
