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

bool uplink_files_password(
	const struct plan_broker *broker, char password[static SECRET_MAX], bool *ret_given, struct uplink_note *note)
{
	char credential[CREDENTIAL_PATH_MAX];
	const char *path = broker->password_file;
	if (!path && secret_credential("mqtt-password", credential) == 0 && access(credential, F_OK) == 0)
		path = credential;
	int error = path ? secret_read(path, password) : secret_environment("BUSFERRY_PASSWORD", password);
	*ret_given = error == 0;
	if (error == 0 || (!path && error == -ENOENT))
		return true;
	uplink_note_lost(note, UPLINK_SETUP, "can't read the password %s%s: %s",
		path ? "file " : "in BUSFERRY_PASSWORD", path ? path : "", strerror(-error));
	return false;
}

int uplink_files_passphrase(char *buffer, int size, int writing, void *user)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)user;
	return 0;
}
