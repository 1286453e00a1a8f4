/*
 * The scripts with which shells complete the commands, made from the tables of commands, operands and options.
 */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "cli/cli.h"

#include <stdio.h>

void completion_bash(FILE *to);
void completion_zsh(FILE *to);
void completion_fish(FILE *to);

/* The word with which the scripts ask for what is behind a source: "ports"; NULL for what shells know themselves. */
const char *completion_word(enum cli_source source);

#endif
