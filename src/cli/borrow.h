/*
 * Cells that are read by the gateway which holds their port.
 */
#ifndef CLI_BORROW_H
#define CLI_BORROW_H

#include "cli/cells.h"
#include "field/errand.h"

/*
 * Asks the gateways of this machine, one after the other, whether one has the port, and that one to read the cells;
 * says so on stderr.  0 and *ret_n bytes as line_answer has them; -ENOENT no gateway has it; else what transact says,
 * with *ret_exception.
 */
int borrow_read(const struct cells *cells, uint8_t bytes[static ERRAND_BYTES], size_t *ret_n, uint8_t *ret_exception);

#endif
