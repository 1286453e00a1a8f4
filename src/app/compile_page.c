/*
 * The group `status_page` of the map.  See compile.h.
 *
 * Who may look is decided here, before anything is started: this machine, or, when two keys say so, whoever knows a
 * password.  A page that listens where the map did not mean it to would show a house to its street.
 */
#include "app/compile.h"
#include "app/page_guard.h"

#define DEFAULT_PORT 8088

void compile_page(struct compile *compile, const struct tree *group)
{
	struct plan_page *page = &compile->plan->page;
	struct map_status_page map;
	struct schema_part part = {schema_status_page, &map};
	schema_read("status_page", group, &part, 1, &compile->scratch, compile->faults);
	page->allow_remote = map.allow_remote == 1;
	page->password_file = compile_file(compile, group, "password_file", map.password_file, true);
	if (!map.listen) {
		if (map.allow_remote == 1 || map.password_file)
			compile_warning(compile, group, "listen", "write listen: \"127.0.0.1:8088\"",
				"without \"listen\" there is no page");
		return;
	}
	const char *wrong = compile_host_port(map.listen, DEFAULT_PORT, compile->keep, &page->host, &page->port);
	if (!wrong && !page_is_address(page->host))
		wrong = "is no address of this machine";
	if (wrong) {
		compile_fault(compile, group, "listen", "write \"127.0.0.1:8088\", \"[::1]:8088\" or \"0.0.0.0:8088\"",
			"\"%s\" %s", map.listen, wrong);
		return;
	}
	if (page_is_loopback(page->host))
		return;
	if (!page->allow_remote)
		compile_fault(compile, group, "listen",
			"write \"127.0.0.1:8088\", or add allow_remote: true and a password_file",
			"other machines could see a page at \"%s\"", map.listen);
	else if (!map.password_file)
		compile_fault(compile, group, "listen", "write the password to a file, and password_file: \"…\"",
			"a page that other machines can see needs a \"password_file\"");
}
