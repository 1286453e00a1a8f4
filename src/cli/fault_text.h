/*
 * What is wrong with a map, or may be, for who reads it by machine.
 */
#ifndef CLI_FAULT_TEXT_H
#define CLI_FAULT_TEXT_H

#include "app/faults.h"
#include "base/json.h"

/* Bytes that fault_text_json takes at most. */
size_t fault_text_size(const struct faults *faults);

/* Into an object that is open: "sound", and "faults" with a thousand of them at most, in the order of the map. */
void fault_text_json(struct json *json, struct faults *faults);

#endif
