/*
 * The status page: what is asked, and whether it is answered.  See page.h.
 *
 * Why an attempt to listen is repeated: an address may come with its network, minutes after the start, and a port may
 * be free once a former gateway has ended; but nothing of that is a reason to stop reading meters.
 *
 * Invariant: what is served is what the present plan says; `plan` is that plan.  Thread: main.
 */
#include "app/page.h"
#include "app/http.h"
#include "app/page_facts.h"
#include "app/page_guard.h"
#include "app/page_html.h"
#include "app/page_text.h"
#include "app/stats.h"
#include "base/log_tail.h"
#include "base/pages.h"
#include "model/line_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TRY_AGAIN_US 10000000
#define WRONG_US     1000000 /* what a wrong password costs */
#define WRONG_MAX_US 4000000 /* five of them at once */

struct page {
	struct gateway *gateway;
	const struct plan *plan; /* the present one */
	struct http *http;       /* NULL = not open */
	char host[64];           /* where it is, since plans go */
	uint16_t port;
	int64_t map_at, try_at;
	struct page_past past;
	struct complaint closed, denied;
	int64_t wrong_until; /* a cell rate: wrong passwords are paid for up to here */
	int64_t now_us;
	char machine[256];
	char policy[256]; /* of the answer under way */
};

/* ---- Answers ---- */

static void take_sheet(struct sheet *sheet, struct http_answer *answer)
{
	answer->status = sheet->broken ? 500 : 200;
	answer->text = sheet->text;
	answer->n = sheet->n;
}

static uint32_t number_of(const char *text)
{
	unsigned long number = text ? strtoul(text, NULL, 10) : 0;
	return number < UINT32_MAX ? (uint32_t)number : 0;
}

static void answer_page(struct page *page, const struct page_facts *facts, const struct http_request *request,
	struct sheet *sheet, struct http_answer *answer)
{
	uint64_t chance[2];
	char nonce[33];
	answer->type = "text/html; charset=utf-8";
	if (strcmp(request->path, "/live") == 0) {
		page_html_live(sheet, facts, number_of(request->from));
		return;
	}
	if (getrandom(chance, sizeof(chance), 0) != (ssize_t)sizeof(chance)) {
		sheet->broken = true;
		return;
	}
	snprintf(nonce, sizeof(nonce), "%016" PRIx64 "%016" PRIx64, chance[0], chance[1]);
	snprintf(page->policy, sizeof(page->policy),
		"default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; connect-src 'self'; img-src data:; "
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		nonce, nonce);
	page_html(sheet, facts, number_of(request->from), nonce);
}

static void answer_json(struct page *page, const struct page_facts *facts, struct sheet *sheet)
{
	size_t size = stats_status_size(page->gateway);
	char *status = malloc(size);
	int n = status ? stats_status_json(page->gateway, status, size) : -ENOMEM;
	if (n > 0)
		page_json(sheet, facts, status, (size_t)n);
	else
		sheet->broken = true;
	free(status);
}

static void answer_health(const struct page_facts *facts, struct sheet *sheet, struct http_answer *answer)
{
	const char *fault = page_facts_fault(facts);
	sheet_print(sheet, "%s\n", fault ? fault : "ok");
	take_sheet(sheet, answer);
	if (fault && answer->status == 200)
		answer->status = 503;
}

static void route(struct page *page, const struct http_request *request, struct http_answer *answer)
{
	static const char *const paths[] = {"/", "/live", "/metrics", "/api/status.json", "/healthz"};
	size_t which = 0;
	while (which < 5 && strcmp(request->path, paths[which]) != 0)
		which++;
	if (which == 5) {
		answer->status = 404;
		return;
	}
	struct page_facts facts;
	struct sheet sheet = {0};
	if (page_facts_take(&facts, page->gateway, page->map_at, &page->past) < 0) {
		sheet.broken = true;
	} else if (which < 2) {
		answer_page(page, &facts, request, &sheet, answer);
	} else if (which == 2) {
		answer->type = "text/plain; version=0.0.4; charset=utf-8";
		page_metrics(&sheet, &facts);
	} else if (which == 3) {
		answer->type = "application/json";
		answer_json(page, &facts, &sheet);
	}
	if (which == 4)
		answer_health(&facts, &sheet, answer);
	else
		take_sheet(&sheet, answer);
	page_facts_release(&facts);
}

/* Does the request show the password, where one is wanted?  Wrong ones in a row are slowed down, since nobody looks. */
static bool is_known(struct page *page, const struct http_request *request, struct http_answer *answer)
{
	const char *path = page->plan->page.password_file;
	if (!path)
		return true;
	int64_t paid_us = page->wrong_until > page->now_us ? page->wrong_until : page->now_us;
	if (request->authorization && paid_us - page->now_us >= WRONG_MAX_US) {
		answer->status = 429;
		return false;
	}
	int rc = page_password(path, request->authorization);
	if (rc == 0) {
		complaint_clear(&page->denied, page->now_us, NULL, NULL);
		return true;
	}
	answer->status = 401;
	answer->headers[0][0] = "WWW-Authenticate";
	answer->headers[0][1] = "Basic realm=\"Busferry\", charset=\"UTF-8\"";
	if (!request->authorization)
		return false;
	page->wrong_until = paid_us + WRONG_US;
	if (!complaint_raise(&page->denied, page->now_us))
		return false;
	if (rc == -EKEYREJECTED)
		log_warning("status page: somebody came with a wrong password");
	else
		log_error("status page: can't read the password file %s: %s; nobody is let in", path, strerror(-rc));
	return false;
}

static void on_request(void *user, const struct http_request *request, struct http_answer *answer)
{
	struct page *page = user;
	page->policy[0] = '\0';
	if (!page_host_allowed(&page->plan->page, page->machine, request->host))
		answer->status = 403;
	else if (is_known(page, request, answer))
		route(page, request, answer);
	if (answer->headers[0][0])
		return;
	answer->headers[0][0] = "Content-Security-Policy";
	answer->headers[0][1] = page->policy[0] ? page->policy : "default-src 'none'; frame-ancestors 'none'";
}

/* ---- Opening ---- */

static const char *hint_of(int error)
{
	switch (error) {
	case -ELIBACC:
		return HTTP_LIBRARY " is not there: install libmicrohttpd12";
	case -EADDRINUSE:
		return "another program has this port: name another one, or end that";
	case -EADDRNOTAVAIL:
		return "this machine has no such address now";
	case -EACCES:
	case -EPERM:
		return "it may not: ports below 1024 need rights, and the unit allows port 8088 only "
		       "(SocketBindAllow=)";
	default:
		return strerror(-error);
	}
}

static void try_open(struct page *page)
{
	const struct plan_page *told = &page->plan->page;
	bool v6 = strchr(told->host, ':') != NULL;
	log_tail_keep();
	int rc = http_open(told->host, told->port, on_request, page, &page->http);
	page->try_at = page->now_us + TRY_AGAIN_US;
	if (rc < 0) {
		if (complaint_raise(&page->closed, page->now_us))
			log_error("status page: can't listen on %s%s%s:%u: %s; all else runs on, it is tried again",
				v6 ? "[" : "", told->host, v6 ? "]" : "", told->port, hint_of(rc));
		return;
	}
	pages_give_back(); /* what the library's start has gone through */
	snprintf(page->host, sizeof(page->host), "%s", told->host);
	page->port = told->port;
	complaint_clear(&page->closed, page->now_us, NULL, NULL);
	log_info("status page: http://%s%s%s:%u/", v6 ? "[" : "", told->host, v6 ? "]" : "", told->port);
}

/* Is it still served where the map says?  The plan that it was opened by may be gone. */
static void follow_map(struct page *page)
{
	const struct plan *plan = gateway_plan(page->gateway);
	if (plan == page->plan)
		return;
	page->plan = plan;
	page->map_at = page->now_us;
	if (page->http && plan->page.host && plan->page.port == page->port && strcmp(plan->page.host, page->host) == 0)
		return;
	http_close(page->http);
	page->http = NULL;
	page->try_at = 0;
	page->closed = (struct complaint){0};
}

struct page *page_open(struct gateway *gateway)
{
	struct page *page = gateway_inquiry(gateway) ? calloc(1, sizeof(*page)) : NULL;
	if (!page)
		return NULL;
	if (gateway_plan(gateway)->page.host)
		log_tail_keep(); /* without memory for it there are no lines to show */
	page->gateway = gateway;
	if (gethostname(page->machine, sizeof(page->machine) - 1) < 0)
		page->machine[0] = '\0';
	return page;
}

void page_close(struct page *page)
{
	if (!page)
		return;
	http_close(page->http);
	free(page);
}

int page_fd(const struct page *page)
{
	return page ? http_fd(page->http) : -1;
}

int64_t page_step(struct page *page, int64_t now_us)
{
	if (!page)
		return CLOCK_NEVER;
	page->now_us = now_us;
	follow_map(page);
	if (!page->plan->page.host)
		return CLOCK_NEVER;
	if (!page->http && now_us >= page->try_at)
		try_open(page);
	return page->http ? http_step(page->http, now_us) : page->try_at;
}
