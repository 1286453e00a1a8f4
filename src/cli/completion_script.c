/*
 * The scripts of the three shells.  See completion.h.
 *
 * Each is a frame that knows how a command line of ours is built (busferry COMMAND, options that may take a value,
 * operands), around cases that are printed from the tables: which options take what value, what stands at which
 * operand.  None needs a helper that a shell does not bring along.
 *
 * Bash breaks words at "=" and ":" (COMP_WORDBREAKS), so its frame puts them together again.
 */
#include "cli/completion.h"

#include <string.h>

#define MADE "made from the tables of the program by: busferry completion "

/* A command whose options are being printed. */
struct printing {
	FILE *to;
	const struct cli_command *command;
};

static void for_each(FILE *to, void (*print)(void *user, const struct cli_option *options))
{
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		struct printing printing = {to, command};
		if (command->summary)
			cli_reveal(command, print, &printing);
	}
}

/* In single quotes; `special` are characters that get a backslash. */
static void quoted(FILE *to, const char *text, const char *special)
{
	for (; *text; text++) {
		if (strchr(special, *text))
			fputc('\\', to);
		if (*text == '\'')
			fputs("'\\''", to);
		else
			fputc(*text, to);
	}
}

/* What a frame understands: "words A B", "files", "folders", "ask ports", "nothing". */
static void print_want(FILE *to, enum cli_source source, const char *words)
{
	if (words)
		fprintf(to, "words %s", words);
	else if (completion_word(source))
		fprintf(to, "ask %s", completion_word(source));
	else
		fputs(source == CLI_FILES ? "files" : source == CLI_FOLDERS ? "folders" : "nothing", to);
}

/* bash */

static void bash_values(void *user, const struct cli_option *options)
{
	const struct printing *printing = user;
	for (const struct cli_option *option = options; option->name; option++) {
		if (option->kind == CLI_FLAG)
			continue;
		fprintf(printing->to, "\t%s:--%s", printing->command->name, option->name);
		if (option->letter)
			fprintf(printing->to, " | %s:-%c", printing->command->name, option->letter);
		fputs(") want='", printing->to);
		print_want(printing->to, option->source, option->words);
		fputs("' ;;\n", printing->to);
	}
}

static void bash_options(void *user, const struct cli_option *options)
{
	const struct printing *printing = user;
	fprintf(printing->to, "\t%s) words='", printing->command->name);
	for (const struct cli_option *option = options; option->name; option++) {
		if (option->letter)
			fprintf(printing->to, "-%c ", option->letter);
		fprintf(printing->to, "--%s ", option->name);
	}
	fputs("-h --help' ;;\n", printing->to);
}

static void bash_operands(FILE *to)
{
	for (const struct cli_operand *operand = cli_operands; operand->command; operand++) {
		fprintf(to, "\t[[ $1:$2:$3 == %s:%u:%s ]] && want+=('", operand->command, operand->nth,
			operand->after ? operand->after : "*");
		print_want(to, operand->source, operand->words);
		fputs("')\n", to);
	}
}

void completion_bash(FILE *to)
{
	fputs("# bash completion for busferry; " MADE "bash\n\n"
	      "# The value of option $2 of command $1, into want; false when it takes none.\n"
	      "_busferry_value() {\n\twant=\n\tcase $1:$2 in\n",
		to);
	for_each(to, bash_values);
	fputs("\t*) return 1 ;;\n\tesac\n}\n\n"
	      "# The operand $2 (from 1 on) of command $1, the first of them being $3, into the array want.\n"
	      "_busferry_operand() {\n\twant=()\n",
		to);
	bash_operands(to);
	fputs("\treturn 0\n}\n\n_busferry_options() {\n\tcase $1 in\n", to);
	for_each(to, bash_options);
	fputs("\t*) words='-h --help -V --version", to);
	for (const struct cli_command *command = cli_commands; command->name; command++)
		if (command->summary)
			fprintf(to, " %s", command->name);
	fputs("' ;;\n\tesac\n}\n\n", to);
	fputs("_busferry_offer() {\n"
	      "\tlocal what IFS=$' \\t\\n'\n"
	      "\tfor what in \"$@\"; do\n"
	      "\t\tcase $what in\n"
	      "\t\twords\\ *) COMPREPLY+=($(compgen -W \"${what#words }\" -- \"$current\")) ;;\n"
	      "\t\task\\ *) IFS=$'\\n' COMPREPLY+=($(IFS=$'\\n' compgen -W \\\n"
	      "\t\t\t\"$(\"$program\" completion \"${what#ask }\" 2>/dev/null)\" -- \"$current\")) ;;\n"
	      "\t\tfiles) IFS=$'\\n' COMPREPLY+=($(compgen -f -- \"$current\"))\n"
	      "\t\t\ttype compopt &>/dev/null && compopt -o filenames 2>/dev/null ;;\n"
	      "\t\tfolders) IFS=$'\\n' COMPREPLY+=($(compgen -d -- \"$current\"))\n"
	      "\t\t\ttype compopt &>/dev/null && compopt -o filenames 2>/dev/null ;;\n"
	      "\t\tesac\n"
	      "\t\tIFS=$' \\t\\n'\n"
	      "\tdone\n"
	      "\t[[ ${COMPREPLY[0]} == *[:/] ]] && type compopt &>/dev/null && compopt -o nospace 2>/dev/null\n"
	      "}\n\n"
	      "_busferry() {\n"
	      "\tlocal program=$1 current= command= first= words= want word i nth=0 joined=() before\n"
	      "\tCOMPREPLY=()\n"
	      "\t# Words that bash has taken apart at = and :, put together again.\n"
	      "\tfor ((i = 0; i <= COMP_CWORD; i++)); do\n"
	      "\t\tword=${COMP_WORDS[i]}\n"
	      "\t\tif ((i > 1)) && [[ $word == [=:]* || ${COMP_WORDS[i - 1]} == *[=:] ]] && ((${#joined[@]} > 1)); "
	      "then\n"
	      "\t\t\tjoined[${#joined[@]} - 1]+=$word\n"
	      "\t\telse\n"
	      "\t\t\tjoined+=(\"$word\")\n"
	      "\t\tfi\n"
	      "\tdone\n"
	      "\tcurrent=${joined[${#joined[@]} - 1]}\n"
	      "\tfor ((i = 1; i < ${#joined[@]} - 1; i++)); do\n"
	      "\t\tword=${joined[i]}\n"
	      "\t\tif [[ -z $command ]]; then\n"
	      "\t\t\tcommand=$word\n"
	      "\t\telif [[ $word == -* ]]; then\n"
	      "\t\t\tif [[ $word != *=* ]] && _busferry_value \"$command\" \"$word\"; then\n"
	      "\t\t\t\tif ((i == ${#joined[@]} - 2)); then\n"
	      "\t\t\t\t\t_busferry_offer \"$want\"\n"
	      "\t\t\t\t\t_busferry_cut\n"
	      "\t\t\t\t\treturn\n"
	      "\t\t\t\tfi\n"
	      "\t\t\t\t((i++))\n"
	      "\t\t\tfi\n"
	      "\t\telse\n"
	      "\t\t\t((++nth == 1)) && first=$word\n"
	      "\t\tfi\n"
	      "\tdone\n"
	      "\tif [[ $current == --*=* ]]; then\n"
	      "\t\t_busferry_value \"$command\" \"${current%%=*}\" || return\n"
	      "\t\tbefore=${current%%=*}=\n"
	      "\t\tcurrent=${current#*=}\n"
	      "\t\t_busferry_offer \"$want\"\n"
	      "\telif [[ -z $command || $current == -* ]]; then\n"
	      "\t\t_busferry_options \"$command\"\n"
	      "\t\t_busferry_offer \"words $words\"\n"
	      "\telse\n"
	      "\t\t_busferry_operand \"$command\" $((nth + 1)) \"$first\"\n"
	      "\t\t_busferry_offer \"${want[@]}\"\n"
	      "\tfi\n"
	      "\t_busferry_cut\n"
	      "}\n\n"
	      "# Bash puts an offer in the place of what stands behind the last : only.\n"
	      "_busferry_cut() {\n"
	      "\tlocal i\n"
	      "\t[[ $current == *:* && $COMP_WORDBREAKS == *:* ]] || return 0\n"
	      "\tfor i in \"${!COMPREPLY[@]}\"; do\n"
	      "\t\tCOMPREPLY[i]=${COMPREPLY[i]#\"${current%\"${current##*:}\"}\"}\n"
	      "\tdone\n"
	      "}\n\n"
	      "complete -F _busferry busferry\n",
		to);
}

/* zsh */

static void zsh_want(FILE *to, enum cli_source source, const char *words)
{
	if (words)
		fprintf(to, "(%s)", words);
	else if (completion_word(source))
		fprintf(to, " _busferry_ask %s", completion_word(source));
	else
		fputs(source == CLI_FILES ? "_files" : source == CLI_FOLDERS ? "_files -/" : " ", to);
}

static void zsh_words(FILE *to, const char *words)
{
	for (; *words; words++) {
		if (*words == ':')
			fputc('\\', to);
		fputc(*words, to);
	}
}

static void zsh_command(void *user, const struct cli_option *options)
{
	const struct printing *printing = user;
	FILE *to = printing->to;
	fprintf(to, "\t%s)\n\t\t_arguments -s \\\n", printing->command->name);
	for (const struct cli_option *option = options; option->name; option++) {
		bool takes = option->kind != CLI_FLAG;
		if (option->letter)
			fprintf(to, "\t\t\t'(-%c --%s)'{-%c%s,--%s%s}'[", option->letter, option->name, option->letter,
				takes ? "+" : "", option->name, takes ? "=" : "");
		else
			fprintf(to, "\t\t\t'--%s%s[", option->name, takes ? "=" : "");
		quoted(to, option->help, "[]:\\");
		fputc(']', to);
		if (takes) {
			fputc(':', to);
			quoted(to, option->argument, "[]:\\");
			fputc(':', to);
			if (option->words) {
				fputc('(', to);
				zsh_words(to, option->words);
				fputc(')', to);
			} else {
				zsh_want(to, option->source, NULL);
			}
		}
		fputs("' \\\n", to);
	}
	fputs("\t\t\t'(-h --help)'{-h,--help}'[this command]'", to);
	unsigned nth = 0;
	for (const struct cli_operand *operand = cli_operands; operand->command; operand++) {
		if (strcmp(operand->command, printing->command->name) != 0)
			continue;
		if (operand->nth != nth)
			fprintf(to, " \\\n\t\t\t'%u: : _busferry_operand %s %u'", operand->nth, printing->command->name,
				operand->nth);
		nth = operand->nth;
	}
	fputs("\n\t\t;;\n", to);
}

static void zsh_operands(FILE *to)
{
	for (const struct cli_operand *operand = cli_operands; operand->command; operand++) {
		fprintf(to, "\t[[ $1:$2:$line[1] == %s:%u:%s ]] && ", operand->command, operand->nth,
			operand->after ? operand->after : "*");
		if (operand->words)
			fprintf(to, "compadd -S '' -- %s", operand->words);
		else
			zsh_want(to, operand->source, NULL);
		fputs(" && found=0\n", to);
	}
}

void completion_zsh(FILE *to)
{
	fputs("#compdef busferry\n# " MADE "zsh\n\n"
	      "_busferry_ask() {\n"
	      "\tlocal -a found\n"
	      "\tfound=(${(f)\"$($_busferry_program completion $1 2>/dev/null)\"})\n"
	      "\tcompadd -a found\n"
	      "}\n\n"
	      "_busferry_operand() {\n\tlocal found=1\n",
		to);
	zsh_operands(to);
	fputs("\treturn found\n}\n\n_busferry() {\n"
	      "\tlocal curcontext=$curcontext _busferry_program=${(Q)words[1]}\n"
	      "\tlocal -a line state commands\n\tlocal -A opt_args\n"
	      "\tif ((CURRENT == 2)); then\n\t\tcommands=(\n",
		to);
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		if (!command->summary)
			continue;
		fprintf(to, "\t\t\t'%s:", command->name);
		quoted(to, command->summary, "\\:");
		fputs("'\n", to);
	}
	fputs("\t\t)\n\t\t_describe command commands\n\t\tcompadd -- --help --version\n\t\treturn\n\tfi\n"
	      "\tshift words\n\t((CURRENT--))\n\tcase $words[1] in\n",
		to);
	for_each(to, zsh_command);
	fputs("\tesac\n}\n\n_busferry \"$@\"\n", to);
}

/* fish */

static void fish_text(FILE *to, const char *text)
{
	fputc('\'', to);
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('\'', to);
}

static void fish_want(FILE *to, enum cli_source source, const char *words)
{
	if (words)
		fprintf(to, " -f -a '%s'", words);
	else if (completion_word(source))
		fprintf(to, " -f -a '(__busferry_ask %s)'", completion_word(source));
	else if (source == CLI_FILES)
		fputs(" -F", to);
	else if (source == CLI_FOLDERS)
		fputs(" -f -a '(__fish_complete_directories)'", to);
	else
		fputs(" -f", to);
}

static void fish_takes(void *user, const struct cli_option *options)
{
	const struct printing *printing = user;
	for (const struct cli_option *option = options; option->name; option++) {
		if (option->kind == CLI_FLAG)
			continue;
		fprintf(printing->to, " %s:--%s", printing->command->name, option->name);
		if (option->letter)
			fprintf(printing->to, " %s:-%c", printing->command->name, option->letter);
	}
}

static void fish_command(void *user, const struct cli_option *options)
{
	const struct printing *printing = user;
	FILE *to = printing->to;
	const char *name = printing->command->name;
	for (const struct cli_option *option = options; option->name; option++) {
		fprintf(to, "complete -c busferry -n '__busferry_at %s'", name);
		if (option->letter)
			fprintf(to, " -s %c", option->letter);
		fprintf(to, " -l %s", option->name);
		if (option->kind != CLI_FLAG) {
			fputs(" -r", to);
			fish_want(to, option->source, option->words);
		}
		fputs(" -d ", to);
		fish_text(to, option->help);
		fputc('\n', to);
	}
	for (const struct cli_operand *operand = cli_operands; operand->command; operand++) {
		if (strcmp(operand->command, name) != 0)
			continue;
		fprintf(to, "complete -c busferry -n '__busferry_at %s %u%s%s'", name, operand->nth,
			operand->after ? " " : "", operand->after ? operand->after : "");
		fish_want(to, operand->source, operand->words);
		fputc('\n', to);
	}
}

void completion_fish(FILE *to)
{
	fputs("# fish completion for busferry; " MADE "fish\n\n"
	      "function __busferry_ask\n"
	      "\tset -l program (commandline -opc)[1]\n"
	      "\t$program completion $argv[1] 2>/dev/null\n"
	      "end\n\n"
	      "# Is this the command; and the operand of that number; behind that first operand?\n"
	      "function __busferry_at -a command nth after\n"
	      "\tset -l words (commandline -opc)\n"
	      "\tset -e words[1]\n"
	      "\tset -q words[1]; and test \"$words[1]\" = $command; or return 1\n"
	      "\tset -q argv[2]; or return 0\n"
	      "\tset -e words[1]\n"
	      "\tset -l operands\n"
	      "\tset -l skip 0\n"
	      "\tfor word in $words\n"
	      "\t\tif test $skip = 1\n"
	      "\t\t\tset skip 0\n"
	      "\t\telse if contains -- $command:$word $__busferry_takes\n"
	      "\t\t\tset skip 1\n"
	      "\t\telse if not string match -q -- '-*' $word\n"
	      "\t\t\tset -a operands $word\n"
	      "\t\tend\n"
	      "\tend\n"
	      "\ttest (math (count $operands) + 1) = $nth; or return 1\n"
	      "\tset -q argv[3]; or return 0\n"
	      "\ttest \"$operands[1]\" = $after\n"
	      "end\n\n"
	      "set -g __busferry_takes",
		to);
	for_each(to, fish_takes);
	fputs("\n\ncomplete -c busferry -f\n"
	      "complete -c busferry -n __fish_is_first_token -l help -d 'the commands'\n"
	      "complete -c busferry -n __fish_is_first_token -l version -d 'the version'\n",
		to);
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		if (!command->summary)
			continue;
		fprintf(to, "complete -c busferry -n __fish_is_first_token -a %s -d ", command->name);
		fish_text(to, command->summary);
		fputc('\n', to);
	}
	fputs("complete -c busferry -n 'not __fish_is_first_token' -s h -l help -d 'this command'\n", to);
	for_each(to, fish_command);
}
