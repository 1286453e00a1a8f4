/*
 * Where the control socket of a gateway is, for the gateway that makes it and for the commands that look for it.
 *
 * The folder is the first of these that can be used:
 *
 *     $RUNTIME_DIRECTORY          systemd's, of the service
 *     /run/busferry               the service's, for who looks for it from outside
 *     $XDG_RUNTIME_DIR/busferry   of a user who has logged in
 *     /tmp/busferry-UID           of anybody; only if it is a folder of that user, closed to all others
 *
 * The name is that of the map and a hash of its real path, "busferry-0123456789abcdef.sock": so a command that is given
 * the map finds the gateway that runs it and no other, also beside gateways with the same id.
 */
#ifndef APP_CONTROL_PLACE_H
#define APP_CONTROL_PLACE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

struct control_place {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device; /* of the socket, to tell it from a later one of its name */
	ino_t inode;
};

/*
 * Makes the socket of the gateway that runs that map and listens on it, without blocking.  The socket of a gateway that
 * is dead is replaced.  Readable and writable by its owner, and by the group where the folder is open to one.
 * 0 with *ret_fd and *ret_place; -EADDRINUSE a gateway that lives has it; another -errno when no folder can be used.
 */
int control_place_listen(const char *map, struct control_place *ret_place, int *ret_fd);

/* Removes the socket, unless it is somebody else's by now. */
void control_place_clear(const struct control_place *place);

/*
 * Connects to the gateway that runs that map.  The descriptor, which blocks; -ENOENT there is none, -EACCES there is
 * one for others to talk to, -ETIMEDOUT it takes nobody.
 */
int control_place_connect(const char *map);

/*
 * Connects to one gateway after the other, whatever map it runs, of all that this user may talk to, and gives `ask` the
 * descriptor, which is then its own, until it returns true.  Whether it did.
 */
bool control_place_each(bool (*ask)(void *user, int fd), void *user);

#endif
