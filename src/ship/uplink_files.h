/*
 * The local files that a connection needs.  They are looked at before each attempt, so that a mended file helps without
 * a restart, and before the library sees them: its own word for any of them is "invalid".
 *
 * On the publisher's thread only.
 */
#ifndef SHIP_UPLINK_FILES_H
#define SHIP_UPLINK_FILES_H

#include "model/plan.h"
#include "ship/secret.h"
#include "ship/uplink_note.h"

#include <stdbool.h>

/* CA, certificate and key can be read.  False when one can't, after it was noted. */
bool uplink_files_tls(const struct plan_broker *broker, struct uplink_note *note);

/*
 * Reads the password: of password_file; else the credential "mqtt-password" that systemd gives; else the environment's
 * BUSFERRY_PASSWORD.  *ret_given: there is one; the caller wipes it.  False when it can't be read, after that was
 * noted.
 */
bool uplink_files_password(
	const struct plan_broker *broker, char password[static SECRET_MAX], bool *ret_given, struct uplink_note *note);

/* OpenSSL's question for the passphrase of a key: none, they are not supported.  Without this it would ask on the
 * terminal. */
int uplink_files_passphrase(char *buffer, int size, int writing, void *user);

#endif
