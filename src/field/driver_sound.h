/*
 * Is the struct of a driver one that can be used?  A module is made by somebody else, and a table without its end or a
 * function that was forgotten would only show, as a crash, when a map uses it.  Pure; any thread.
 */
#ifndef FIELD_DRIVER_SOUND_H
#define FIELD_DRIVER_SOUND_H

#include "sdk/driver.h"

#include <stdbool.h>

#define DRIVER_SOUND_SIZE 256

/*
 * Its name is a word, its way is known and has the functions that it needs, each table ends and its rows lie within
 * their struct.  The ABI is the caller's to compare, before.  True, or false with what is wrong, "has no name".
 */
bool driver_sound(const struct bf_driver *driver, char ret_why[static DRIVER_SOUND_SIZE]);

#endif
