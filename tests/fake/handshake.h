/*
 * When a handshake of TLS ends; see handshake.c.
 */
#ifndef FAKE_HANDSHAKE_H
#define FAKE_HANDSHAKE_H

#include <stdbool.h>

extern bool handshake_at_once; /* in the call that begins it; false: when it does */

#endif
