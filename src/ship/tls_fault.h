/*
 * Why TLS failed, in words that a person can act on.  OpenSSL says it in two places: the result of the verification, by
 * number, and the text of its error, in which an alert is the other side's word.
 *
 * Any thread; nothing is kept.
 */
#ifndef SHIP_TLS_FAULT_H
#define SHIP_TLS_FAULT_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_FAULT_WORDS 160

/* What the connection was set up with. */
struct tls_setup {
	const char *host;
	bool ca_file, cert_file; /* given in the map */
};

/*
 * ssl: the library's `SSL *` of the failed handshake, NULL when it is gone already.  text: OpenSSL's own word
 * ("certificate verify failed"), "" when it said none.  Writes the words.  Returns true when they are about local
 * files, which the broker has not seen.
 */
bool tls_fault(const void *ssl, const char *text, const struct tls_setup *setup, char words[static TLS_FAULT_WORDS]);

#endif
