/*
 * The broker and the buffer of the map.  See compile.h.
 *
 * Secrets stay out of the map: a URL holds no password, and the file that does must not be readable by everybody.
 * Both are told here, before anything is started.
 */
#include "app/compile.h"
#include "base/hash.h"
#include "model/line_text.h"
#include "ship/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_DEFAULT "/var/lib/busferry/buffer.db"

const char *compile_host_port(
	const char *text, uint16_t port, struct arena *arena, const char **ret_host, uint16_t *ret_port)
{
	char host[256];
	uint16_t number = 0;
	int err = host_text_parse(text, port, host, sizeof(host), &number);
	if (err == -ERANGE)
		return "has a port that is not 1 to 65535";
	if (err < 0)
		return "has no host, or something that is no port behind its colon";
	if (number == 0)
		return "has no port";
	*ret_host = arena_text(arena, host);
	*ret_port = number;
	return NULL;
}

static void endpoint(struct compile *compile, const struct tree *at, struct plan_endpoint *ret)
{
	const char *url = at->text, *rest = strstr(url, "://");
	const char *hint = "write \"mqtt://host\" or \"mqtts://host\"";
	if (strchr(url, '@')) { /* before anything that would print it */
		faults_add(compile->faults, FAULT_ERROR, &at->at, "write broker: { url: …  user: …  password_file: … }",
			"no user or password inside the URL");
		return;
	}
	if (!rest) {
		faults_add(compile->faults, FAULT_ERROR, &at->at,
			arena_format(&compile->scratch, "write \"mqtt://%s\"", url), "the broker \"%s\" is no URL",
			url);
		return;
	}
	size_t n = (size_t)(rest - url);
	bool tls = n == 5 && memcmp(url, "mqtts", 5) == 0;
	rest += 3;
	if (!tls && !(n == 4 && memcmp(url, "mqtt", 4) == 0)) {
		faults_add(compile->faults, FAULT_ERROR, &at->at, hint,
			"the broker \"%s\" is neither mqtt:// nor mqtts://", url);
		return;
	}
	size_t m = strlen(rest);
	if (m && rest[m - 1] == '/')
		m--;
	const char *wrong = compile_host_port(
		arena_text_n(&compile->scratch, rest, m), tls ? 8883 : 1883, compile->keep, &ret->host, &ret->port);
	if (wrong) {
		faults_add(compile->faults, FAULT_ERROR, &at->at, NULL, "the broker \"%s\" %s", url, wrong);
		return;
	}
	ret->tls = tls;
	ret->url = arena_text(compile->keep, url);
}

static void endpoints(struct compile *compile, const struct tree *url)
{
	struct plan_broker *broker = &compile->plan->broker;
	if (!url)
		return;
	size_t n = url->type == TREE_LIST ? url->n : 1;
	if (n == 0)
		faults_add(compile->faults, FAULT_ERROR, &url->at, NULL, "\"url\" is an empty list");
	struct plan_endpoint *list = arena_array(compile->keep, n ? n : 1, sizeof(*list));
	const struct tree *item = url->type == TREE_LIST ? url->first : url;
	for (size_t i = 0; i < n; i++, item = item->next) {
		if (item->type == TREE_TEXT)
			endpoint(compile, item, &list[i]);
		else
			faults_add(compile->faults, FAULT_ERROR, &item->at, NULL,
				"\"url\" has %s in its list, it must be texts", tree_what(item));
	}
	broker->endpoints = list;
	broker->n_endpoints = n;
}

/* "busferry-" and 8 characters that are the same at each start and differ between machines and gateways. */
static const char *client_id(struct compile *compile)
{
	char machine[64] = "";
	FILE *file = fopen("/etc/machine-id", "re");
	if (file) {
		if (!fgets(machine, sizeof(machine), file))
			machine[0] = '\0';
		fclose(file);
	}
	uint64_t hash = HASH_BEGIN;
	const char *texts[] = {machine, "/", compile->plan->gateway_id};
	for (size_t i = 0; i < 3; i++)
		hash = hash_bytes(hash, texts[i], strcspn(texts[i], "\n"));
	return arena_format(compile->keep, "busferry-%08x", (unsigned)hash_fold(hash));
}

/* "credential:NAME" is the file of that name among those that systemd gave to this process. */
static const char *credential_of(struct compile *compile, const struct tree *group, const char *key, const char *name)
{
	char path[CREDENTIAL_PATH_MAX];
	if (name[0] == '\0' || strchr(name, '/')) {
		compile_fault(compile, group, key, "write credential: and the name in LoadCredential= of the unit",
			"\"%s\" is no name of a credential", name);
		return NULL;
	}
	if (secret_credential(name, path) == 0)
		return arena_text(&compile->scratch, path);
	compile_warning(compile, group, key, NULL,
		"systemd has given no credentials to this process, \"%s\" is not there", name);
	return NULL;
}

const char *compile_file(
	struct compile *compile, const struct tree *group, const char *key, const char *path, bool secret)
{
	static const char credential[] = "credential:";
	struct stat status;
	if (!path)
		return NULL;
	const char *named = path;
	if (strncmp(path, credential, sizeof(credential) - 1) == 0)
		path = credential_of(compile, group, key, path + sizeof(credential) - 1);
	if (!path)
		return arena_text(compile->keep, named);
	if (stat(path, &status) < 0) {
		compile_warning(compile, group, key, NULL, "the file \"%s\" is not there", path);
	} else if (secret && (status.st_mode & S_IROTH)) {
		compile_fault(compile, group, key, arena_format(&compile->scratch, "chmod o-rwx %s", path),
			"the secret file \"%s\" can be read by everybody", path);
	}
	return arena_text(compile->keep, path);
}

void compile_broker(struct compile *compile, const struct tree *group)
{
	struct plan_broker *broker = &compile->plan->broker;
	bool text = group && group->type == TREE_TEXT;
	struct map_broker map;
	struct schema_part part = {schema_broker, &map};
	schema_read("broker", text ? NULL : group, &part, 1, &compile->scratch, compile->faults);
	endpoints(compile, text ? group : map.url);
	broker->protocol = map.protocol;
	if (map.client_id && map.client_id[0] == '\0')
		compile_fault(compile, group, "client_id", NULL, "the client id is empty");
	broker->client_id = map.client_id ? arena_text(compile->keep, map.client_id) : client_id(compile);
	broker->user = map.user ? arena_text(compile->keep, map.user) : NULL;
	broker->password_file = compile_file(compile, group, "password_file", map.password_file, true);
	broker->ca_file = compile_file(compile, group, "ca_file", map.ca_file, false);
	broker->cert_file = compile_file(compile, group, "cert_file", map.cert_file, false);
	broker->key_file = compile_file(compile, group, "key_file", map.key_file, true);
	if (map.password_file && !map.user)
		compile_fault(compile, group, "password_file", NULL, "\"password_file\" needs a \"user\"");
	if (!map.cert_file != !map.key_file)
		compile_fault(compile, group, map.cert_file ? "cert_file" : "key_file", NULL,
			"\"cert_file\" and \"key_file\" go together");
	broker->keepalive_s = (unsigned)(map.keepalive_us / 1000000);
	if (map.prefer_first_us != BF_UNSET) {
		broker->prefer_first_us = map.prefer_first_us;
		if (broker->n_endpoints == 1)
			compile_fault(compile, group, "prefer_first",
				"write url: [\"mqtt://first\", \"mqtt://second\"]",
				"\"prefer_first\" needs a list of brokers");
	}
	bool given = map.inflight != BF_UNSET;
	broker->inflight = given ? (unsigned)map.inflight : 100;
	broker->inflight_qos2 = !given ? 10 : map.inflight < 20 ? (unsigned)map.inflight : 20;
	broker->max_qos = map.max_qos;
}

void compile_buffer(struct compile *compile, const struct tree *group)
{
	struct plan_buffer *buffer = &compile->plan->buffer;
	struct map_buffer map;
	struct schema_part part = {schema_buffer, &map};
	schema_read("buffer", group, &part, 1, &compile->scratch, compile->faults);
	if (map.path && map.path[0] == '\0')
		compile_fault(compile, group, "path", "write \":none:\" for memory only", "the path is empty");
	bool none = map.path && strcmp(map.path, ":none:") == 0;
	buffer->path = none ? NULL : arena_text(compile->keep, map.path ? map.path : BUFFER_DEFAULT);
	buffer->path_given = map.path != NULL && !none;
	buffer->max_size = map.max_size;
	buffer->max_age_us = map.max_age_us;
	buffer->sync_us = map.sync_us;
	buffer->replay = (unsigned)map.replay;
	buffer->when_full = map.when_full == 1 ? WHEN_FULL_DROP_NEWEST : WHEN_FULL_DROP_OLDEST;
	buffer->live_first = map.order == 1;
}
