/*
 * Notes of an uplink, and the words for its faults.  See uplink_note.h.
 */
#include "ship/uplink_note.h"
#include "ship/reason.h"
#include "ship/tls_fault.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void uplink_note_begin(struct uplink_note *note, const struct uplink_target *target)
{
	note->mqtt5 = target->broker->protocol == 5;
	note->plain = !target->endpoint->tls;
	note->silent = note->active = note->connected = note->lost = false;
	note->tls[0] = '\0';
	note->tls_verified = 0;
}

void uplink_note_silence(struct uplink_note *note)
{
	note->silent = true;
	note->active = note->connected = note->lost = false;
}

void uplink_note_connected(struct uplink_note *note, bool session_present, const struct uplink_limits *limits)
{
	note->connected = true;
	note->session_present = session_present;
	note->limits = *limits;
}

void uplink_note_lost(struct uplink_note *note, enum uplink_fault fault, const char *format, ...)
{
	if (note->silent || note->lost)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(note->what, sizeof(note->what), format, args);
	va_end(args);
	note->fault = fault;
	note->lost = true;
}

void uplink_note_errno(struct uplink_note *note, int error)
{
	if (error == EPIPE || error == ECONNRESET)
		uplink_note_closed(note);
	else
		uplink_note_lost(note, UPLINK_REFUSED, "%s", error ? strerror(error) : "no connection");
}

void uplink_note_lookup(struct uplink_note *note, const char *host, int error)
{
	uplink_note_lost(note, UPLINK_NAME, "can't find the host %s: %s", host,
		error == EAI_SYSTEM ? "system error" : gai_strerror(error));
}

void uplink_note_tls(struct uplink_note *note, const struct uplink_target *target)
{
	const struct plan_broker *broker = target->broker;
	const struct tls_setup setup = {target->endpoint->host, broker->ca_file != NULL, broker->cert_file != NULL};
	char words[TLS_FAULT_WORDS];
	bool local = tls_fault(note->tls_verified, note->tls, &setup, words);
	uplink_note_lost(note, local ? UPLINK_SETUP : UPLINK_TLS, "TLS: %s", words);
}

void uplink_note_reason(struct uplink_note *note, int code)
{
	/* CONNECT has nothing else that is retained or has a QoS. */
	if (!note->active && (code == 0x9A || code == 0x9B))
		uplink_note_lost(note, code == 0x9A ? UPLINK_NO_RETAIN : UPLINK_NO_QOS, "%s; the will is given without",
			reason_words(code));
	uplink_note_lost(note, reason_fault(code), "%s", reason_words(code));
}

/* What an end before any answer may be about. */
static const char *uplink_note_doubt(const struct uplink_note *note)
{
	if (note->mqtt5 && note->plain)
		return "it may not speak MQTT 5, or want TLS (mqtts://)";
	if (note->mqtt5)
		return "it may not speak MQTT 5";
	return note->plain ? "it may want TLS (mqtts://)" : "the port may be one without TLS (mqtt://)";
}

void uplink_note_closed(struct uplink_note *note)
{
	if (note->active || note->connected)
		uplink_note_lost(note, UPLINK_CLOSED, "closed by the broker");
	else
		uplink_note_lost(
			note, UPLINK_CLOSED, "closed by the broker without an answer; %s", uplink_note_doubt(note));
}

void uplink_note_tls_text(struct uplink_note *note, const void *ssl, const char *text)
{
	if (ssl)
		note->tls_verified = tls_fault_verified(ssl);
	if (note->tls[0])
		return;
	const char *last = strrchr(text, ':');
	last = last ? last + 1 : text;
	last += strspn(last, " ");
	snprintf(note->tls, sizeof(note->tls), "%.*s", (int)strcspn(last, ".\n"), last);
}

bool uplink_note_tell(struct uplink_note *note, const struct uplink_events *events)
{
	bool told = false;
	if (note->connected) {
		note->connected = false;
		note->active = true;
		told = true;
		events->connected(events->user, note->session_present, &note->limits);
	}
	if (note->lost) {
		/* The publisher may begin a new attempt in the call, which writes over the note. */
		enum uplink_fault fault = note->fault;
		char what[UPLINK_NOTE_WHAT];
		memcpy(what, note->what, sizeof(what));
		uplink_note_silence(note);
		told = true;
		events->lost(events->user, fault, what);
	}
	return told;
}
