/*
 * Words for what goes wrong with ports.
 */
#include "field/port_failure.h"
#include "field/port_holder.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void busy_text(const char *path, char text[static PORT_FAILURE_SIZE])
{
	struct port_holder holder;
	if (port_holder_find("/proc", path, &holder) < 0)
		snprintf(text, PORT_FAILURE_SIZE, "another program has it");
	else if (holder.name[0])
		snprintf(text, PORT_FAILURE_SIZE, "another program has it: %s, pid %ld", holder.name, (long)holder.pid);
	else
		snprintf(text, PORT_FAILURE_SIZE, "another program has it: pid %ld", (long)holder.pid);
}

static void denied_text(const char *path, char text[static PORT_FAILURE_SIZE])
{
	struct stat st;
	struct group found, *group = NULL;
	char names[1024];
	if (stat(path, &st) == 0 && st.st_gid != 0 && st.st_mode & S_IWGRP)
		getgrgid_r(st.st_gid, &found, names, sizeof(names), &group);
	snprintf(text, PORT_FAILURE_SIZE, "permission denied; sudo usermod -aG %s $USER, then log in again",
		group ? group->gr_name : "dialout");
}

const char *port_failure_text(const char *path, int failure, char text[static PORT_FAILURE_SIZE])
{
	switch (path ? failure : 0) {
	case -EBUSY:
		busy_text(path, text);
		break;
	case -EACCES:
	case -EPERM:
		denied_text(path, text);
		break;
	case -EINVAL:
		snprintf(text, PORT_FAILURE_SIZE, "its driver does not do these line settings");
		break;
	case -EOPNOTSUPP:
		snprintf(text, PORT_FAILURE_SIZE,
			"its driver can't switch the direction as `rs485` says; an adapter "
			"that does it by itself needs \"auto\"");
		break;
	case -ENOTTY:
		snprintf(text, PORT_FAILURE_SIZE, "it is no serial port");
		break;
	default:
		snprintf(text, PORT_FAILURE_SIZE, "%s", strerror(-failure));
		break;
	}
	return text;
}
