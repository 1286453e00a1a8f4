/*
 * Notes of an uplink, and the words for its faults.  See uplink_note.h.
 */
#include "ship/uplink_note.h"
#include "base/clock.h"
#include "ship/reason.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void uplink_note_begin(struct uplink_note *note)
{
	note->silent = note->active = note->connected = note->lost = false;
	note->tls[0] = '\0';
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
		uplink_note_lost(note, UPLINK_CLOSED, "closed by the broker");
	else
		uplink_note_lost(note, UPLINK_REFUSED, "%s", error ? strerror(error) : "no connection");
}

void uplink_note_lookup(struct uplink_note *note, const char *host, int error)
{
	uplink_note_lost(note, UPLINK_NAME, "can't find the host %s: %s", host,
		error == EAI_SYSTEM ? "system error" : gai_strerror(error));
}

void uplink_note_tls(struct uplink_note *note)
{
	const char *why = note->tls[0] ? note->tls : "the handshake failed";
	/* A Pi without a battery clock finds every certificate "not yet valid" until it has heard NTP. */
	bool early = strstr(why, "certificate verify failed") && !clock_plausible(clock_system.wall_ms(&clock_system));
	uplink_note_lost(note, UPLINK_TLS, "TLS: %s%s", why, early ? " (this machine's clock is not set yet)" : "");
}

void uplink_note_reason(struct uplink_note *note, int code)
{
	/* CONNECT has nothing else that is retained or has a QoS. */
	if (!note->active && (code == 0x9A || code == 0x9B))
		uplink_note_lost(note, code == 0x9A ? UPLINK_NO_RETAIN : UPLINK_NO_QOS, "%s; the will is given without",
			reason_words(code));
	uplink_note_lost(note, reason_fault(code), "%s", reason_words(code));
}

void uplink_note_closed(struct uplink_note *note, bool mqtt5)
{
	if (note->active)
		uplink_note_lost(note, UPLINK_CLOSED, "closed by the broker");
	else
		uplink_note_lost(note, UPLINK_CLOSED, "closed by the broker without an answer%s",
			mqtt5 ? "; it may not speak MQTT 5" : "");
}

void uplink_note_tls_text(struct uplink_note *note, const char *text)
{
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
