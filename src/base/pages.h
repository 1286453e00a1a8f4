/*
 * Memory that only the start has needed.
 */
#ifndef BASE_PAGES_H
#define BASE_PAGES_H

/*
 * Gives back the pages of code and constants that have come into this process so far; those that are still needed come
 * again, one by one, from the page cache.  For once, when a daemon has started.  Any thread, while others run.
 */
void pages_give_back(void);

#endif
