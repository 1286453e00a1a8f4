/*
 * Local files of a connection.  See uplink_files.h.
 *
 * Thread: the publisher's.
 */
#include "ship/uplink_files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool readable(const char *what, const char *path, struct uplink_note *note)
{
	if (!path || access(path, R_OK) == 0)
		return true;
	uplink_note_lost(note, UPLINK_SETUP, "can't read the %s file %s: %s", what, path, strerror(errno));
	return false;
}

bool uplink_files_tls(const struct plan_broker *broker, struct uplink_note *note)
{
	return readable("CA", broker->ca_file, note) && readable("certificate", broker->cert_file, note) &&
	       readable("key", broker->key_file, note);
}

bool uplink_files_password(const struct plan_broker *broker, char password[static SECRET_MAX], struct uplink_note *note)
{
	int error = broker->password_file ? secret_read(broker->password_file, password) : 0;
	if (error == 0)
		return true;
	uplink_note_lost(
		note, UPLINK_SETUP, "can't read the password file %s: %s", broker->password_file, strerror(-error));
	return false;
}
