/*
 * A setting of a map or profile, printed again whatever it is.
 */
#ifndef CLI_SETTING_TEXT_H
#define CLI_SETTING_TEXT_H

#include "app/tree.h"
#include "base/json.h"

#include <stdio.h>

/* As it may stand in a map: `type: "u16be"`. */
void setting_print(FILE *to, const struct tree *setting);

/* As JSON, under its name. */
void setting_json(struct json *json, const struct tree *setting);

#endif
