/*
 * A broker that is quick, for tests: a handshake of TLS ends in the call that begins it, as it now and then does on the
 * loopback.  libmosquitto 2.0.11 begins it while it connects, and frees its SSL object when it fails there.
 *
 * Loaded before a program (LD_PRELOAD), or a part of one.
 */
#include "handshake.h"

#include <openssl/ssl.h>
#include <poll.h>

#define PATIENCE_MS 5000

bool handshake_at_once = true;

int SSL_connect(SSL *ssl)
{
	if (SSL_in_before(ssl))
		SSL_set_connect_state(ssl);
	for (;;) {
		int done = SSL_do_handshake(ssl), wants = SSL_get_error(ssl, done);
		if (!handshake_at_once || (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE))
			return done;
		struct pollfd socket = {
			.fd = SSL_get_fd(ssl), .events = wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT};
		if (poll(&socket, 1, PATIENCE_MS) <= 0)
			return done;
	}
}
