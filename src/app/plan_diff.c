/*
 * Comparing plans: see plan_diff.h.
 *
 * Why by value and field by field: two plans of the same map share no pointer, and the padding of a struct may hold
 * anything.  Numbers with a fraction are compared as bits, since "not given" is NaN.  What a driver keeps of its keys
 * is compared by its own table, the same that has filled it.
 *
 * Thread: any.
 */
#include "app/plan_diff.h"

#include <string.h>

static uint64_t bits_of(double number)
{
	uint64_t bits;
	memcpy(&bits, &number, sizeof(bits));
	return bits;
}

static bool numbers_differ(double a, double b)
{
	return bits_of(a) != bits_of(b);
}

static bool texts_differ(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

static bool bytes_differ(const void *a, const void *b, size_t n)
{
	return n && memcmp(a, b, n) != 0;
}

static bool lists_differ(const struct bf_texts *a, const struct bf_texts *b)
{
	bool differ = a->n != b->n;
	for (size_t i = 0; i < a->n && !differ; i++)
		differ = texts_differ(a->at[i], b->at[i]);
	return differ;
}

static bool runs_differ(const struct bf_bytes *a, size_t n_a, const struct bf_bytes *b, size_t n_b)
{
	bool differ = n_a != n_b;
	for (size_t i = 0; i < n_a && !differ; i++)
		differ = a[i].n != b[i].n || bytes_differ(a[i].at, b[i].at, a[i].n);
	return differ;
}

static bool pairs_differ(const struct bf_pairs *a, const struct bf_pairs *b)
{
	bool differ = a->n != b->n;
	for (size_t i = 0; i < a->n && !differ; i++)
		differ = texts_differ(a->names[i], b->names[i]) || a->numbers[i] != b->numbers[i];
	return differ;
}

static bool scalars_differ(const struct bf_scalar *a, const struct bf_scalar *b)
{
	return a->kind != b->kind || a->i != b->i || numbers_differ(a->number, b->number) ||
	       texts_differ(a->text, b->text);
}

static bool key_differs(const struct bf_key *key, const void *struct_a, const void *struct_b)
{
	const char *a = (const char *)struct_a + key->offset, *b = (const char *)struct_b + key->offset;
	switch (key->type) {
	case BF_KEY_TEXT:
		return texts_differ(*(const char *const *)(const void *)a, *(const char *const *)(const void *)b);
	case BF_KEY_BOOL:
	case BF_KEY_INT:
	case BF_KEY_CHOICE:
		return bytes_differ(a, b, sizeof(int));
	case BF_KEY_NUMBER:
		return bytes_differ(a, b, sizeof(double));
	case BF_KEY_DURATION:
	case BF_KEY_SIZE:
		return bytes_differ(a, b, sizeof(int64_t));
	case BF_KEY_TEXTS:
		return lists_differ((const void *)a, (const void *)b);
	case BF_KEY_SCALAR:
		return scalars_differ((const void *)a, (const void *)b);
	case BF_KEY_BYTES:
		return runs_differ((const void *)a, 1, (const void *)b, 1);
	case BF_KEY_PAIRS:
		return pairs_differ((const void *)a, (const void *)b);
	case BF_KEY_NODE:
		break;
	}
	return true; /* a node of a map can't be compared */
}

/* What a driver's table has filled in. */
static bool keys_differ(const struct bf_key *keys, const void *a, const void *b)
{
	if (!a || !b)
		return a != b;
	for (; keys && keys->name; keys++)
		if (key_differs(keys, a, b))
			return true;
	return false;
}

static bool words_differ(const struct plan_metric *a, const struct plan_metric *b)
{
	bool differ = a->n_words != b->n_words;
	for (uint32_t i = 0; i < a->n_words && !differ; i++)
		differ = a->words[i].number != b->words[i].number || texts_differ(a->words[i].word, b->words[i].word);
	return differ;
}

static bool deliveries_differ(const struct plan_delivery *a, const struct plan_delivery *b)
{
	return a->qos != b->qos || a->retain != b->retain || a->per_device != b->per_device || a->buffer != b->buffer ||
	       a->latest_only != b->latest_only || a->expire_s != b->expire_s || a->payload != b->payload;
}

static bool places_differ(const struct bf_place *a, const struct bf_place *b)
{
	return a->space != b->space || a->at != b->at || a->count != b->count;
}

/* How it is read, and what its raw value means. */
static bool sources_differ(const struct plan_metric *a, const struct plan_metric *b)
{
	return a->n_models != b->n_models || bytes_differ(a->models, b->models, a->n_models * sizeof(*a->models)) ||
	       a->shape.type != b->shape.type || a->shape.words != b->shape.words || a->shape.bytes != b->shape.bytes ||
	       a->shape.length != b->shape.length || places_differ(&a->place, &b->place) ||
	       places_differ(&a->scale_place, &b->scale_place) || a->message != b->message || a->index != b->index ||
	       a->bit != b->bit || a->n_bits != b->n_bits || a->event != b->event || a->scaled != b->scaled ||
	       a->scale_from != b->scale_from || numbers_differ(a->scale, b->scale) ||
	       numbers_differ(a->offset, b->offset) || a->every_us != b->every_us || a->n_invalid != b->n_invalid ||
	       bytes_differ(a->invalid, b->invalid, a->n_invalid * sizeof(*a->invalid)) ||
	       !a->invalid_texts != !b->invalid_texts ||
	       (a->invalid_texts && lists_differ(a->invalid_texts, b->invalid_texts));
}

/* When and how it is told. */
static bool reports_differ(const struct plan_metric *a, const struct plan_metric *b)
{
	return texts_differ(a->topic, b->topic) || texts_differ(a->name, b->name) || texts_differ(a->unit, b->unit) ||
	       words_differ(a, b) || numbers_differ(a->min, b->min) || numbers_differ(a->max, b->max) ||
	       numbers_differ(a->max_step, b->max_step) || numbers_differ(a->deadband, b->deadband) ||
	       a->deadband_percent != b->deadband_percent || a->heartbeat_us != b->heartbeat_us ||
	       a->monotonic != b->monotonic || a->reduce != b->reduce || a->decimals != b->decimals ||
	       deliveries_differ(&a->delivery, &b->delivery);
}

bool plan_diff_metric(const struct plan *a, size_t i, const struct plan *b, size_t j)
{
	const struct plan_metric *x = &a->metrics[i], *y = &b->metrics[j];
	const struct bf_driver *driver = a->devices[x->device].driver;
	return driver != b->devices[y->device].driver || sources_differ(x, y) || reports_differ(x, y) ||
	       keys_differ(driver->metric_keys, x->keys, y->keys);
}

static bool streams_differ(const struct bf_driver *driver, const struct plan_stream *a, const struct plan_stream *b)
{
	if (!a || !b)
		return a != b;
	bool differ = a->n_messages != b->n_messages || a->ignore_first_us != b->ignore_first_us ||
		      runs_differ(a->init, a->n_init, b->init, b->n_init) ||
		      runs_differ(a->stop, a->n_stop, b->stop, b->n_stop);
	for (size_t i = 0; i < a->n_messages && !differ; i++) {
		const struct bf_message_told *x = &a->messages[i], *y = &b->messages[i];
		differ = texts_differ(x->name, y->name) || runs_differ(&x->request, 1, &y->request, 1) ||
			 keys_differ(driver->message_keys, x->keys, y->keys);
	}
	return differ;
}

bool plan_diff_device(const struct plan *a, size_t i, const struct plan *b, size_t j)
{
	const struct plan_device *x = &a->devices[i], *y = &b->devices[j];
	bool differ = x->driver != y->driver || texts_differ(x->topic, y->topic) || texts_differ(x->path, y->path) ||
		      x->address != y->address || x->timeout_us != y->timeout_us ||
		      x->max_registers != y->max_registers || x->max_gap != y->max_gap ||
		      x->n_metrics != y->n_metrics || keys_differ(x->driver->device_keys, x->keys, y->keys) ||
		      streams_differ(x->driver, x->stream, y->stream);
	for (uint32_t m = 0; m < x->n_metrics && !differ; m++)
		differ = plan_diff_metric(a, x->first_metric + m, b, y->first_metric + m);
	return differ;
}

static bool lines_differ(const struct plan_line *a, const struct plan_line *b)
{
	return a->baud != b->baud || a->data_bits != b->data_bits || a->parity != b->parity ||
	       a->stop_bits != b->stop_bits;
}

bool plan_diff_bus(const struct plan *a, size_t i, const struct plan *b, size_t j)
{
	const struct plan_bus *x = &a->buses[i], *y = &b->buses[j];
	bool differ = texts_differ(x->name, y->name) || x->way != y->way || x->wire != y->wire ||
		      texts_differ(x->port, y->port) || texts_differ(x->host, y->host) || x->tcp_port != y->tcp_port ||
		      lines_differ(&x->line, &y->line) || x->timeout_us != y->timeout_us || x->gap_us != y->gap_us ||
		      x->retries != y->retries || x->rs485 != y->rs485 || x->n_devices != y->n_devices;
	for (uint32_t d = 0; d < x->n_devices && !differ; d++)
		differ = plan_diff_device(a, x->devices[d], b, y->devices[d]);
	return differ;
}

bool plan_diff_readings(const struct plan *a, const struct plan *b)
{
	return texts_differ(a->site, b->site) || a->ids != b->ids || a->sparkplug.enabled != b->sparkplug.enabled ||
	       !a->page.host != !b->page.host;
}

bool plan_diff_sparkplug(const struct plan *a, const struct plan *b)
{
	const struct plan_sparkplug *x = &a->sparkplug, *y = &b->sparkplug;
	return x->enabled != y->enabled ||
	       (x->enabled && (texts_differ(x->group, y->group) || texts_differ(x->node, y->node) ||
				      texts_differ(x->host, y->host)));
}

bool plan_diff_page(const struct plan *a, const struct plan *b)
{
	const struct plan_page *x = &a->page, *y = &b->page;
	return texts_differ(x->host, y->host) || x->port != y->port || x->allow_remote != y->allow_remote ||
	       texts_differ(x->password_file, y->password_file) || (y->host && a->n_warnings != b->n_warnings);
}

static bool endpoints_differ(const struct plan_endpoint *a, const struct plan_endpoint *b)
{
	return texts_differ(a->url, b->url) || texts_differ(a->host, b->host) || a->port != b->port || a->tls != b->tls;
}

static bool brokers_differ(const struct plan_broker *a, const struct plan_broker *b)
{
	bool differ = a->n_endpoints != b->n_endpoints || a->protocol != b->protocol ||
		      texts_differ(a->client_id, b->client_id) || texts_differ(a->user, b->user) ||
		      texts_differ(a->password_file, b->password_file) || texts_differ(a->ca_file, b->ca_file) ||
		      texts_differ(a->cert_file, b->cert_file) || texts_differ(a->key_file, b->key_file) ||
		      a->keepalive_s != b->keepalive_s || a->prefer_first_us != b->prefer_first_us ||
		      a->inflight != b->inflight || a->inflight_qos2 != b->inflight_qos2 || a->max_qos != b->max_qos;
	for (size_t i = 0; i < a->n_endpoints && !differ; i++)
		differ = endpoints_differ(&a->endpoints[i], &b->endpoints[i]);
	return differ;
}

bool plan_diff_connection(const struct plan *a, const struct plan *b)
{
	return texts_differ(a->site, b->site) || texts_differ(a->gateway_id, b->gateway_id) ||
	       texts_differ(a->gateway_topic, b->gateway_topic) || brokers_differ(&a->broker, &b->broker) ||
	       plan_uses_qos2(a) != plan_uses_qos2(b);
}

static bool writes_differ(const struct plan_write *a, const struct plan_write *b)
{
	if (!a || !b)
		return a != b;
	return numbers_differ(a->min, b->min) || numbers_differ(a->max, b->max) || numbers_differ(a->step, b->step) ||
	       numbers_differ(a->from, b->from) || a->many != b->many;
}

bool plan_diff_info(const struct plan *a, const struct plan *b)
{
	bool differ = texts_differ(a->file, b->file) || a->control != b->control ||
		      texts_differ(a->homeassistant.prefix, b->homeassistant.prefix) || a->n_buses != b->n_buses ||
		      a->n_devices != b->n_devices || a->n_metrics != b->n_metrics;
	for (size_t i = 0; i < a->n_buses && !differ; i++)
		differ = plan_diff_bus(a, i, b, i);
	for (size_t i = 0; i < a->n_devices && !differ; i++)
		differ = a->devices[i].bus != b->devices[i].bus ||
			 texts_differ(a->devices[i].name, b->devices[i].name) ||
			 texts_differ(a->devices[i].maker, b->devices[i].maker) ||
			 texts_differ(a->devices[i].model, b->devices[i].model) || plan_diff_device(a, i, b, i);
	for (size_t i = 0; i < a->n_metrics && !differ; i++)
		differ = writes_differ(a->metrics[i].write, b->metrics[i].write);
	return differ;
}

unsigned plan_diff_buffer(const struct plan_buffer *a, const struct plan_buffer *b)
{
	unsigned keys = 0;
	keys |= texts_differ(a->path, b->path) || a->path_given != b->path_given ? BUFFER_PATH : 0;
	keys |= a->max_size != b->max_size ? BUFFER_MAX_SIZE : 0;
	keys |= a->max_age_us != b->max_age_us ? BUFFER_MAX_AGE : 0;
	keys |= a->sync_us != b->sync_us ? BUFFER_SYNC : 0;
	keys |= a->replay != b->replay ? BUFFER_REPLAY : 0;
	keys |= a->when_full != b->when_full ? BUFFER_WHEN_FULL : 0;
	keys |= a->live_first != b->live_first ? BUFFER_ORDER : 0;
	return keys;
}
