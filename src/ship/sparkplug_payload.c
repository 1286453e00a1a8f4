/*
 * Packing and unpacking by protobuf-c.  See sparkplug_payload.h.
 *
 * Why metric by metric: the encodings of two messages of one type, one behind the other, are the encoding of both
 * merged (Protocol Buffers, Encoding, "Last One Wins"), so a payload with one metric after the other is the payload
 * with all of them, and no list of them has to be made first.
 *
 * Why the library is loaded and not linked: its pages and relocations would be in each gateway's memory, and few speak
 * Sparkplug.  The generated code calls the functions of the library by their names, which stand below and go on to it.
 *
 * Invariant: what is unpacked lies on the caller's stack, so no payload can ask for more than ROOM.
 */
#include "ship/sparkplug_payload.h"

#include "sparkplug.pb-c.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define ROOM        ((size_t)24 * 1024) /* for what is unpacked */
#define METRICS_MAX 64                  /* of a command */
#define QUALITY_KEY "Quality"

/* ---- The library ---- */

static struct {
	size_t (*packed_size)(const ProtobufCMessage *message);
	size_t (*pack)(const ProtobufCMessage *message, uint8_t *out);
	size_t (*pack_to_buffer)(const ProtobufCMessage *message, ProtobufCBuffer *buffer);
	ProtobufCMessage *(*unpack)(const ProtobufCMessageDescriptor *descriptor, ProtobufCAllocator *allocator,
		size_t n, const uint8_t *data);
	void (*free_unpacked)(ProtobufCMessage *message, ProtobufCAllocator *allocator);
} library;

size_t protobuf_c_message_get_packed_size(const ProtobufCMessage *message)
{
	return library.packed_size(message);
}

size_t protobuf_c_message_pack(const ProtobufCMessage *message, uint8_t *out)
{
	return library.pack(message, out);
}

size_t protobuf_c_message_pack_to_buffer(const ProtobufCMessage *message, ProtobufCBuffer *buffer)
{
	return library.pack_to_buffer(message, buffer);
}

ProtobufCMessage *protobuf_c_message_unpack(
	const ProtobufCMessageDescriptor *descriptor, ProtobufCAllocator *allocator, size_t n, const uint8_t *data)
{
	return library.unpack(descriptor, allocator, n, data);
}

void protobuf_c_message_free_unpacked(ProtobufCMessage *message, ProtobufCAllocator *allocator)
{
	library.free_unpacked(message, allocator);
}

int sparkplug_payload_load(void)
{
	if (library.unpack)
		return 0;
	void *handle = dlopen("libprotobuf-c.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return -ENOENT;
	void *found[] = {dlsym(handle, "protobuf_c_message_get_packed_size"), dlsym(handle, "protobuf_c_message_pack"),
		dlsym(handle, "protobuf_c_message_pack_to_buffer"), dlsym(handle, "protobuf_c_message_free_unpacked"),
		dlsym(handle, "protobuf_c_message_unpack")};
	for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++)
		if (!found[i]) {
			dlclose(handle);
			return -ENOENT;
		}
	/* A pointer to a function through one to data: POSIX, dlsym. */
	memcpy(&library.packed_size, &found[0], sizeof(found[0]));
	memcpy(&library.pack, &found[1], sizeof(found[1]));
	memcpy(&library.pack_to_buffer, &found[2], sizeof(found[2]));
	memcpy(&library.free_unpacked, &found[3], sizeof(found[3]));
	memcpy(&library.unpack, &found[4], sizeof(found[4]));
	return 0;
}

/* ---- Packing ---- */

static int append(struct sparkplug_pack *pack, const Sparkplug__Payload *payload)
{
	if (library.packed_size(&payload->base) > pack->size - pack->n)
		return -ENOSPC;
	pack->n += library.pack(&payload->base, pack->bytes + pack->n);
	return 0;
}

void sparkplug_pack_begin(struct sparkplug_pack *pack, void *bytes, size_t size, int64_t time_ms, int seq)
{
	Sparkplug__Payload payload = SPARKPLUG__PAYLOAD__INIT;
	*pack = (struct sparkplug_pack){.bytes = bytes, .size = size};
	payload.has_timestamp = true;
	payload.timestamp = (uint64_t)time_ms;
	payload.has_seq = seq >= 0;
	payload.seq = seq >= 0 ? (uint64_t)seq : 0;
	append(pack, &payload);
}

static void set_value(Sparkplug__Metric *to, enum sparkplug_type type, const struct bf_value *value)
{
	switch (type) {
	case SPARKPLUG_INT32:
		to->value_case = SPARKPLUG__METRIC__VALUE_INT_VALUE;
		to->int_value = (uint32_t)(int32_t)value->i; /* two's complement */
		break;
	case SPARKPLUG_UINT8:
	case SPARKPLUG_UINT16:
		to->value_case = SPARKPLUG__METRIC__VALUE_INT_VALUE;
		to->int_value = (uint32_t)value->u;
		break;
	case SPARKPLUG_INT64:
		to->value_case = SPARKPLUG__METRIC__VALUE_LONG_VALUE;
		to->long_value = (uint64_t)value->i;
		break;
	case SPARKPLUG_UINT64:
		to->value_case = SPARKPLUG__METRIC__VALUE_LONG_VALUE;
		to->long_value = value->u;
		break;
	case SPARKPLUG_FLOAT:
		to->value_case = SPARKPLUG__METRIC__VALUE_FLOAT_VALUE;
		to->float_value = value->f32;
		break;
	case SPARKPLUG_DOUBLE:
		to->value_case = SPARKPLUG__METRIC__VALUE_DOUBLE_VALUE;
		to->double_value = value->f64;
		break;
	case SPARKPLUG_BOOLEAN:
		to->value_case = SPARKPLUG__METRIC__VALUE_BOOLEAN_VALUE;
		to->boolean_value = value->yes;
		break;
	case SPARKPLUG_STRING:
		to->value_case = SPARKPLUG__METRIC__VALUE_STRING_VALUE;
		to->string_value = (char *)(uintptr_t)value->text.at;
		break;
	default: /* of commands only */
		break;
	}
}

int sparkplug_pack_add(struct sparkplug_pack *pack, const struct sparkplug_metric *metric)
{
	char key[] = QUALITY_KEY, *keys[] = {key};
	Sparkplug__PropertyValue quality = SPARKPLUG__PROPERTY_VALUE__INIT, *values[] = {&quality};
	Sparkplug__PropertySet properties = SPARKPLUG__PROPERTY_SET__INIT;
	Sparkplug__Metric one = SPARKPLUG__METRIC__INIT, *metrics[] = {&one};
	Sparkplug__Payload payload = SPARKPLUG__PAYLOAD__INIT;
	payload.n_metrics = 1;
	payload.metrics = metrics;
	one.name = (char *)(uintptr_t)metric->name;
	one.has_alias = metric->alias != 0;
	one.alias = metric->alias;
	one.has_timestamp = true;
	one.timestamp = (uint64_t)metric->time_ms;
	one.has_datatype = metric->births;
	one.datatype = metric->type;
	one.has_is_historical = one.is_historical = metric->historical;
	if (metric->quality >= 0) {
		quality.has_type = quality.has_int_value = true;
		quality.type = SPARKPLUG_INT32;
		quality.int_value = (uint32_t)metric->quality;
		properties.n_keys = properties.n_values = 1;
		properties.keys = keys;
		properties.values = values;
		one.properties = &properties;
	}
	if (metric->value.kind == BF_NONE)
		one.has_is_null = one.is_null = true;
	else
		set_value(&one, metric->type, &metric->value);
	int rc = append(pack, &payload);
	pack->n_metrics += rc == 0;
	return rc;
}

/* ---- Unpacking ---- */

struct room {
	_Alignas(max_align_t) uint8_t bytes[ROOM];
	size_t used;
};

static void *room_alloc(void *user, size_t size)
{
	struct room *room = user;
	size_t at = (room->used + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (size > ROOM || at > ROOM - size)
		return NULL;
	room->used = at + size;
	return room->bytes + at;
}

static void room_free(void *user, void *pointer)
{
	(void)user;
	(void)pointer;
}

static bool is_signed(unsigned type)
{
	return type >= SPARKPLUG_INT8 && type <= SPARKPLUG_INT64;
}

/* An int_value by the width of its type: what others do not extend to 32 bits is meant all the same. */
static int64_t signed_int(unsigned type, uint32_t bits)
{
	return type == SPARKPLUG_INT8 ? (int8_t)bits : type == SPARKPLUG_INT16 ? (int16_t)bits : (int32_t)bits;
}

static struct bf_value value_of(const Sparkplug__Metric *metric, unsigned type)
{
	struct bf_value value = {.kind = BF_NONE};
	if (metric->has_is_null && metric->is_null)
		return value;
	switch (metric->value_case) {
	case SPARKPLUG__METRIC__VALUE_INT_VALUE:
		if (is_signed(type))
			return (struct bf_value){.kind = BF_SIGNED, .i = signed_int(type, metric->int_value)};
		return (struct bf_value){.kind = BF_UNSIGNED, .u = metric->int_value};
	case SPARKPLUG__METRIC__VALUE_LONG_VALUE:
		if (is_signed(type))
			return (struct bf_value){.kind = BF_SIGNED, .i = (int64_t)metric->long_value};
		return (struct bf_value){.kind = BF_UNSIGNED, .u = metric->long_value};
	case SPARKPLUG__METRIC__VALUE_FLOAT_VALUE:
		return (struct bf_value){.kind = BF_FLOAT32, .f32 = metric->float_value};
	case SPARKPLUG__METRIC__VALUE_DOUBLE_VALUE:
		return (struct bf_value){.kind = BF_FLOAT64, .f64 = metric->double_value};
	case SPARKPLUG__METRIC__VALUE_BOOLEAN_VALUE:
		return (struct bf_value){.kind = BF_BOOLEAN, .yes = metric->boolean_value};
	case SPARKPLUG__METRIC__VALUE_STRING_VALUE:
		value = (struct bf_value){.kind = BF_TEXT};
		value.text.at = metric->string_value;
		value.text.n = strlen(metric->string_value);
		return value;
	default:
		return value;
	}
}

int sparkplug_payload_read(const void *bytes, size_t n, const struct sparkplug_reader *reader)
{
	struct room room;
	room.used = 0;
	ProtobufCAllocator allocator = {.alloc = room_alloc, .free = room_free, .allocator_data = &room};
	if (n == 0)
		return -EBADMSG;
	Sparkplug__Payload *payload = sparkplug__payload__unpack(&allocator, n, bytes);
	if (!payload || payload->n_metrics > METRICS_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < payload->n_metrics; i++) {
		const Sparkplug__Metric *metric = payload->metrics[i];
		struct sparkplug_told told = {.name = metric->name, .alias = metric->has_alias ? metric->alias : 0};
		unsigned type =
			metric->has_datatype ? metric->datatype : reader->type_of(reader->user, told.name, told.alias);
		told.value = value_of(metric, type);
		reader->each(reader->user, &told);
	}
	return (int)payload->n_metrics;
}
