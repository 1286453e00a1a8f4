/*
 * The elements of SML.  See sml_walk.h.
 *
 * An element begins with a type in three bits and a length in four, which goes on in further bytes as long as the
 * highest bit is set.  The length counts its own bytes too, but for lists, where it is the number of elements.  A zero
 * byte alone ends a message.
 *
 * Invariant: no byte is looked at that does not lie within what is left; each element takes at least one byte, so a
 * walk ends.  Lists within lists are counted on a stack of our own, whose depth is bounded.
 */
#include "sml_walk.h"

#include <errno.h>

#define DEPTH    16 /* of lists; those of the standard go to 6 */
#define HEAD_MAX 4  /* bytes of type and length: 64 kB */

int sml_walk_next(struct sml_walk *walk, struct sml_element *ret_element)
{
	size_t head = 0, length = 0, held = 0;
	uint8_t byte;
	do {
		if (head == walk->left || head == HEAD_MAX)
			return -EBADMSG;
		byte = walk->at[head++];
		length = length << 4 | (byte & 0x0F);
	} while (byte & 0x80);
	struct sml_element element = {(enum sml_type)(walk->at[0] >> 4 & 7), length, walk->at + head};
	if (element.type != SML_LIST && walk->at[0] != 0) {
		if (length < head || length > walk->left)
			return -EBADMSG;
		held = element.count = length - head;
	}
	walk->at += head + held;
	walk->left -= head + held;
	*ret_element = element;
	return 0;
}

int sml_walk_pass(struct sml_walk *walk, size_t n)
{
	size_t waiting[DEPTH] = {n}, n_lists = 1;
	while (n_lists > 0) {
		struct sml_element element;
		size_t *left = &waiting[n_lists - 1];
		if (*left == 0) {
			n_lists--;
			continue;
		}
		(*left)--;
		if (sml_walk_next(walk, &element) < 0)
			return -EBADMSG;
		if (element.type != SML_LIST)
			continue;
		if (n_lists == DEPTH)
			return -EBADMSG;
		waiting[n_lists++] = element.count;
	}
	return 0;
}

int sml_walk_enter(struct sml_walk *walk, size_t n)
{
	struct sml_element element;
	if (sml_walk_next(walk, &element) < 0 || element.type != SML_LIST || element.count != n)
		return -EBADMSG;
	return 0;
}

int sml_walk_number(const struct sml_element *element, bool is_signed, uint64_t *ret_number)
{
	if (element->type == SML_OCTETS || element->type == SML_LIST || element->count == 0 || element->count > 8)
		return -EDOM;
	uint64_t number = is_signed && element->at[0] & 0x80 ? UINT64_MAX : 0;
	for (size_t i = 0; i < element->count; i++)
		number = number << 8 | element->at[i];
	*ret_number = number;
	return 0;
}
