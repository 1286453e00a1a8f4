/*
 * Topic texts and filters.  MQTT 3.1.1 section 4.7, MQTT 5.0 section 4.7.  Pure; any thread.
 */
#ifndef MODEL_TOPIC_H
#define MODEL_TOPIC_H

#include <stdbool.h>

/* Does the topic match the filter with its + and #?  Neither is checked for validity. */
bool topic_matches(const char *filter, const char *topic);

/* NULL when it is a valid filter; else what is wrong with it, in words. */
const char *topic_filter_fault(const char *filter);

/*
 * NULL when the text can be one or more parts of a topic; else what is wrong with it: empty, + or # or a control
 * character in it, an empty part, not UTF-8.
 */
const char *topic_text_fault(const char *text);

#endif
