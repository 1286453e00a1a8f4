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

/* Reads the password, if there is one; the caller wipes it.  False when it can't be read, after that was noted. */
bool uplink_files_password(
	const struct plan_broker *broker, char password[static SECRET_MAX], struct uplink_note *note);

#endif
