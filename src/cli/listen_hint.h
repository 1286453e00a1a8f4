/*
 * What may help when `listen` understood nothing.
 */
#ifndef CLI_LISTEN_HINT_H
#define CLI_LISTEN_HINT_H

#include "app/listener.h"

/* Lines on stderr, by what came on the line that was open last. */
void listen_hint_print(const struct listener *listener);

#endif
