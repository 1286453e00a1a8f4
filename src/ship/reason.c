/*
 * The table of reason codes.  See reason.h.
 *
 * A code by which a broker ends a connection because of what we sent (0x81, 0x82, 0x90, 0x95, 0x99, ...) is
 * UPLINK_CLOSED, not UPLINK_PROTOCOL: it is about one message, and the publisher then looks for the message.
 */
#include "ship/reason.h"

#include <stddef.h>

struct reason {
	int code;
	enum uplink_fault fault;
	const char *words;
};

static const struct reason reasons[] = {
	/* MQTT 3.1.1, CONNACK */
	{0x01, UPLINK_VERSION, "the broker does not speak this version of MQTT"},
	{0x02, UPLINK_CLIENT_ID, "the broker does not accept the client id"},
	{0x03, UPLINK_BUSY, "the broker is not available"},
	{0x04, UPLINK_AUTH, "bad user name or password"},
	{0x05, UPLINK_AUTH, "not authorised"},
	/* MQTT 5 */
	{0x10, UPLINK_CLOSED, "no subscribers"},
	{0x80, UPLINK_CLOSED, "refused without a reason"},
	{0x81, UPLINK_CLOSED, "malformed packet"},
	{0x82, UPLINK_CLOSED, "protocol error"},
	{0x83, UPLINK_CLOSED, "refused for a reason of the broker's own"},
	{0x84, UPLINK_VERSION, "the broker does not speak this version of MQTT"},
	{0x85, UPLINK_CLIENT_ID, "the broker does not accept the client id"},
	{0x86, UPLINK_AUTH, "bad user name or password"},
	{0x87, UPLINK_AUTH, "not authorised"},
	{0x88, UPLINK_BUSY, "the broker is not available"},
	{0x89, UPLINK_BUSY, "the broker is busy"},
	{0x8A, UPLINK_AUTH, "banned by the broker"},
	{0x8B, UPLINK_BUSY, "the broker is shutting down"},
	{0x8C, UPLINK_AUTH, "bad authentication method"},
	{0x8D, UPLINK_REFUSED, "the broker heard nothing for longer than the keepalive"},
	{0x8E, UPLINK_TAKEN_OVER, "another client came with the same client id"},
	{0x8F, UPLINK_CLOSED, "topic filter not valid"},
	{0x90, UPLINK_CLOSED, "topic not accepted"},
	{0x91, UPLINK_CLOSED, "packet id in use"},
	{0x92, UPLINK_CLOSED, "packet id not found"},
	{0x93, UPLINK_CLOSED, "too many messages in flight"},
	{0x94, UPLINK_CLOSED, "topic alias not valid"},
	{0x95, UPLINK_CLOSED, "message too large"},
	{0x96, UPLINK_BUSY, "too many messages a second"},
	{0x97, UPLINK_BUSY, "quota exceeded"},
	{0x98, UPLINK_CLOSED, "closed by the broker's administrator"},
	{0x99, UPLINK_CLOSED, "payload format not accepted"},
	{0x9A, UPLINK_CLOSED, "retained messages not supported"},
	{0x9B, UPLINK_PROTOCOL, "QoS not supported"},
	{0x9C, UPLINK_BUSY, "the broker asks to use another server"},
	{0x9D, UPLINK_BUSY, "the broker has moved"},
	{0x9F, UPLINK_BUSY, "too many connections a second"},
	{0xA0, UPLINK_CLOSED, "connected for as long as the broker allows"},
};

static const struct reason *reason_find(int code)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].code == code)
			return &reasons[i];
	return NULL;
}

const char *reason_words(int code)
{
	const struct reason *reason = reason_find(code);
	return reason ? reason->words : "closed by the broker";
}

enum uplink_fault reason_fault(int code)
{
	const struct reason *reason = reason_find(code);
	return reason ? reason->fault : UPLINK_CLOSED;
}

enum reason_verdict reason_verdict(int code)
{
	switch (code) {
	case 0x80:
	case 0x83:
	case 0x97:
		return REASON_LATER;
	case 0x91:
		return REASON_KNOWN_ID;
	case 0x92:
		return REASON_FINISHED;
	case 0x9B:
		return REASON_QOS;
	default:
		return REASON_REFUSED;
	}
}
