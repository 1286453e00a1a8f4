/*
 * Why TLS failed, in words that a person can act on.  OpenSSL says it in two places: the result of the verification, by
 * number, and the text of its error, in which an alert is the other side's word.
 *
 * On the thread that has the connection; nothing is kept.
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
 * What the verification of the broker's certificate has found: OpenSSL's number, 0 when it found nothing wrong or there
 * was none.  ssl: the library's `SSL *`.
 *
 * To be asked when the library logs the error: a call that begins a handshake and sees it fail, as on the loopback,
 * frees the object before it returns.  An SSL_CTX of ours with a callback for the verification is no other way: given
 * one, libmosquitto 2.0.11 leaves out a part of its own set-up and refuses every certificate.
 */
long tls_fault_verified(const void *ssl);

/*
 * verified: as above.  text: OpenSSL's own word ("certificate verify failed"), "" when it said none.  Writes the words.
 * Returns true when they are about local files, which the broker has not seen.
 */
bool tls_fault(long verified, const char *text, const struct tls_setup *setup, char words[static TLS_FAULT_WORDS]);

#endif
