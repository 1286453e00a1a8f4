/*
 * What `listen` shows: see listen.h.
 *
 * Bytes are shown before the readings that they gave, so what is gathered is shown as soon as a profile understood it.
 * Rows and readings go to stdout; what was understood on the whole goes to stderr, or as one more object with --json.
 */
#include "cli/cli.h"
#include "cli/listen.h"
#include "cli/listen_hint.h"
#include "model/line_text.h"
#include "ship/payload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JSON_SIZE ((size_t)1024 * 1024)

static struct listen_report *of(const void *watch)
{
	return (struct listen_report *)(uintptr_t)watch;
}

static int64_t since_ms(const struct listen_report *report, int64_t at_us)
{
	return (at_us - report->started_at) / 1000;
}

static struct json json_begin(struct listen_report *report, const char *event)
{
	struct json json = json_into(report->text, JSON_SIZE);
	json_object(&json, NULL);
	json_text(&json, "event", event);
	return json;
}

static void json_print(struct json *json)
{
	json_object_end(json);
	if (json_end(json) >= 0)
		puts(json->text);
}

static void json_bytes(struct listen_report *report, bool sent, int64_t at_us, const uint8_t *bytes, size_t n)
{
	char hex[3 * TRANSCRIPT_CHUNK + 1] = "", text[TRANSCRIPT_CHUNK + 1] = "";
	for (size_t i = 0; i < n; i += TRANSCRIPT_ROW) {
		size_t part = n - i < TRANSCRIPT_ROW ? n - i : TRANSCRIPT_ROW;
		if (i)
			hex[3 * i - 1] = ' ';
		transcript_hex(bytes + i, part, hex + 3 * i);
		transcript_text(bytes + i, part, text + i);
	}
	struct json json = json_begin(report, "bytes");
	json_int(&json, "at_ms", since_ms(report, at_us));
	json_bool(&json, "sent", sent);
	json_text(&json, "hex", hex);
	json_text(&json, "text", text);
	json_print(&json);
}

static void print_rows(const struct listen_report *report, bool sent, int64_t at_us, const uint8_t *bytes, size_t n)
{
	const char *dim = report->colour ? "\033[2m" : "", *off = report->colour ? "\033[0m" : "";
	bool is_text = transcript_is_text(bytes, n);
	int64_t at_ms = since_ms(report, at_us);
	for (size_t i = 0, row; i < n; i += row) {
		char hex[TRANSCRIPT_HEX_SIZE], text[TRANSCRIPT_TEXT_SIZE];
		row = transcript_row(bytes + i, n - i, is_text);
		transcript_hex(bytes + i, row, hex);
		transcript_text(bytes + i, row, text);
		if (i == 0)
			printf("%s%5" PRId64 ".%03d %c%s ", dim, at_ms / 1000, (int)(at_ms % 1000), sent ? '>' : '<',
				off);
		else
			printf("%12s", "");
		printf("%-47s  %s|%s|%s\n", hex, dim, text, off);
	}
}

static void chunk(struct transcript_reader *reader, bool sent, int64_t at_us, const uint8_t *bytes, size_t n)
{
	struct listen_report *report = of((char *)reader - offsetof(struct listen_report, reader));
	if (report->as_json)
		json_bytes(report, sent, at_us, bytes, n);
	else
		print_rows(report, sent, at_us, bytes, n);
	if (report->recording && report->failure == 0)
		report->failure = recording_add(report->recording, sent, since_ms(report, at_us), bytes, n);
}

static void bytes_pass(struct listener_watch *watch, bool sent, const uint8_t *bytes, size_t n, int64_t now_us)
{
	transcript_take(&of(watch)->transcript, sent, bytes, n, now_us);
}

/* The values of a candidate, "co2 608 ppm, …"; of its last message, or all. */
static void print_values(const struct candidate *candidate, bool fresh, FILE *to)
{
	const char *before = "";
	for (size_t i = 0; i < candidate->plan.n_metrics; i++) {
		const struct plan_metric *metric = &candidate->plan.metrics[i];
		const struct candidate_value *value = &candidate->values[i];
		if (!value->any || (fresh && !value->fresh))
			continue;
		fprintf(to, "%s%s ", before, payload_label(&candidate->plan, metric));
		if (value->quality == QUALITY_GOOD)
			fprintf(to, "%s%s%s", value->text, metric->unit ? " " : "", metric->unit ? metric->unit : "");
		else
			fprintf(to, "(%s)", quality_word(value->quality));
		before = ", ";
	}
	fputc('\n', to);
}

static void json_values(struct json *json, const struct candidate *candidate, bool fresh)
{
	json_object(json, "values");
	for (size_t i = 0; i < candidate->plan.n_metrics; i++) {
		const struct candidate_value *value = &candidate->values[i];
		if (value->any && (!fresh || value->fresh))
			json_raw(json, payload_label(&candidate->plan, &candidate->plan.metrics[i]), value->text,
				strlen(value->text));
	}
	json_object_end(json);
}

static void readings_come(struct candidate_watch *watch, const struct candidate *candidate, int64_t now_us)
{
	struct listen_report *report = of(watch);
	transcript_flush(&report->transcript);
	if (report->as_json) {
		struct json json = json_begin(report, "reading");
		json_int(&json, "at_ms", since_ms(report, now_us));
		json_text(&json, "profile", candidate->profile.id);
		json_values(&json, candidate, true);
		json_print(&json);
		return;
	}
	printf("%10s= %s%s:%s ", "", report->colour ? "\033[32m" : "", candidate->profile.id,
		report->colour ? "\033[0m" : "");
	print_values(candidate, true, stdout);
}

/* The settings of the line that is open; NULL when nobody knows them. */
static const char *line_of(const struct listen_report *report, char text[static LINE_TEXT_SIZE])
{
	const struct plan_bus *bus = report->listener->bus;
	if (bus->wire != WIRE_SERIAL || report->replays)
		return NULL;
	line_text_print(&bus->line, text);
	return text;
}

static void record(struct listen_report *report, const char *line, int64_t now_us)
{
	if (report->recording && report->failure == 0) {
		report->failure = recording_line(report->recording, since_ms(report, now_us), line ? line : "?");
	} else if (report->record && !report->recording) {
		const struct clock *clock = report->listener->clock;
		report->failure = recording_create(
			report->record, report->listener->bus->name, line, clock->wall_ms(clock), &report->recording);
	}
}

static void opened(struct listener_watch *watch, size_t n_on, int64_t now_us)
{
	struct listen_report *report = of(watch);
	char line[LINE_TEXT_SIZE];
	const char *settings = line_of(report, line);
	transcript_flush(&report->transcript);
	transcript_line(&report->transcript, &report->listener->bus->line);
	bool first = report->n_opened++ == 0;
	if (first)
		report->started_at = now_us;
	record(report, settings, now_us);
	if (report->as_json) {
		struct json json = json_begin(report, "open");
		json_int(&json, "at_ms", since_ms(report, now_us));
		if (settings)
			json_text(&json, "line", settings);
		json_int(&json, "profiles", (int64_t)n_on);
		json_print(&json);
	} else if (report->n_opened <= report->listener->n_lines || first || isatty(STDERR_FILENO)) {
		fprintf(stderr, "busferry: listening on %s%s%s, %zu profile%s on it\n", report->listener->bus->name,
			settings ? " at " : "", settings ? settings : "", n_on, n_on == 1 ? "" : "s");
	}
}

static void asks(struct listener_watch *watch, const struct candidate *candidate)
{
	struct listen_report *report = of(watch);
	transcript_flush(&report->transcript);
	if (!candidate->asks) /* it may have an init */
		return;
	if (report->as_json) {
		struct json json = json_begin(report, "ask");
		json_text(&json, "profile", candidate->profile.id);
		json_print(&json);
	} else {
		fprintf(stderr, "busferry: asking as %s\n", candidate->profile.id);
	}
}

int listen_report_init(struct listen_report *report, struct listener *listener, bool as_json, const char *record)
{
	*report = (struct listen_report){
		.watch = {.candidates = {.heard = readings_come}, .bytes = bytes_pass, .opened = opened, .asks = asks},
		.reader = {.chunk = chunk},
		.listener = listener,
		.record = record,
		.as_json = as_json,
		.colour = cli_colour(STDOUT_FILENO),
		.text = malloc(JSON_SIZE)};
	transcript_init(&report->transcript, &report->reader);
	return report->text ? 0 : -ENOMEM;
}

int listen_report_destroy(struct listen_report *report)
{
	int rc = recording_close(report->recording);
	free(report->text);
	return report->failure ? report->failure : rc;
}

int64_t listen_report_step(struct listen_report *report, int64_t now_us)
{
	int64_t wake = transcript_step(&report->transcript, now_us);
	fflush(stdout);
	return wake;
}

/* Per cent of what came while it took part. */
static int coverage(const struct candidate_score *score)
{
	uint64_t percent = score->n_bytes ? score->n_sound_bytes * 100 / score->n_bytes : 0;
	return percent > 100 ? 100 : (int)percent;
}

static int by_bytes(const void *a, const void *b)
{
	struct candidate_score one = candidate_score(*(const struct candidate *const *)a);
	struct candidate_score other = candidate_score(*(const struct candidate *const *)b);
	if (one.n_sound_bytes != other.n_sound_bytes)
		return one.n_sound_bytes < other.n_sound_bytes ? 1 : -1;
	return one.n_damaged < other.n_damaged ? -1 : one.n_damaged > other.n_damaged;
}

static void print_candidate(const struct candidate *candidate)
{
	struct candidate_score score = candidate_score(candidate);
	fprintf(stderr, "  %s (%s %s): %" PRIu64 " sound message%s, %" PRIu64 " damaged, %d %% of the bytes%s\n    ",
		candidate->profile.id, candidate->profile.maker, candidate->profile.device, score.n_sound,
		score.n_sound == 1 ? "" : "s", score.n_damaged, coverage(&score),
		score.n_damaged > score.n_sound ? "; more is damaged than sound: line settings, ground, a long wire?"
						: "");
	print_values(candidate, false, stderr);
}

static void json_candidate(struct json *json, const struct candidate *candidate)
{
	struct candidate_score score = candidate_score(candidate);
	json_object(json, NULL);
	json_text(json, "profile", candidate->profile.id);
	json_text(json, "maker", candidate->profile.maker);
	json_text(json, "device", candidate->profile.device);
	json_int(json, "sound", (int64_t)score.n_sound);
	json_int(json, "other", (int64_t)score.n_other);
	json_int(json, "damaged", (int64_t)score.n_damaged);
	json_int(json, "coverage", coverage(&score));
	json_values(json, candidate, false);
	json_object_end(json);
}

static void end_json(struct listen_report *report, struct candidate *const *best, size_t n, int64_t now_us)
{
	char line[LINE_TEXT_SIZE];
	const char *settings = line_of(report, line);
	struct json json = json_begin(report, "end");
	json_int(&json, "at_ms", since_ms(report, now_us));
	json_int(&json, "bytes", (int64_t)report->listener->n_bytes);
	json_int(&json, "sent", (int64_t)report->listener->n_sent);
	if (settings)
		json_text(&json, "line", settings);
	json_array(&json, "understood");
	for (size_t i = 0; i < n; i++)
		json_candidate(&json, best[i]);
	json_array_end(&json);
	json_print(&json);
}

static void end_text(struct listen_report *report, struct candidate *const *best, size_t n, int64_t now_us)
{
	char line[LINE_TEXT_SIZE];
	const struct listener *listener = report->listener;
	fprintf(stderr, "busferry: %" PRIu64 " bytes came in %" PRId64 " s", listener->n_bytes,
		since_ms(report, now_us) / 1000);
	if (listener->n_sent)
		fprintf(stderr, ", %" PRIu64 " were sent", listener->n_sent);
	fputs(n ? "; this was understood:\n" : "; nothing was understood\n", stderr);
	for (size_t i = 0; i < n; i++)
		print_candidate(best[i]);
	if (n == 0)
		listen_hint_print(listener);
	if (n > 1)
		fputs("  hint: sensors of a family understand each other's messages; the type plate tells which one it "
		      "is\n",
			stderr);
	if (n == 0 || report->replays)
		return;
	const char *settings = line_of(report, line);
	fprintf(stderr, "  for the map: NAME: { port: \"%s\"%s%s%s  profile: \"%s\" }\n", listener->bus->name,
		settings ? "  line: \"" : "", settings ? settings : "", settings ? "\"" : "", best[0]->profile.id);
}

bool listen_report_end(struct listen_report *report, int64_t now_us)
{
	struct arena arena = {0};
	struct candidates *all = report->listener->all;
	struct candidate **best = arena_array(&arena, all->n + 1, sizeof(struct candidate *));
	size_t n = 0;
	transcript_flush(&report->transcript);
	for (size_t i = 0; i < all->n; i++)
		if (candidate_understands(&all->items[i]))
			best[n++] = &all->items[i];
	if (n)
		qsort(best, n, sizeof(struct candidate *), by_bytes);
	fflush(stdout);
	if (report->as_json)
		end_json(report, best, n, now_us);
	else
		end_text(report, best, n, now_us);
	arena_free(&arena);
	return n > 0;
}
