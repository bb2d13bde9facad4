/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hypervisor's own console ring: overwritten by whoever writes, never waiting for a reader.
 */
#include "standin.h"

#include <xen/xen.h>

void standin_conring_write(const char *text, size_t length)
{
	struct standin_state *host = standin_host();
	uint32_t size = host->conring_size;

	standin_lock();
	while (length--)
		host->conring[host->conring_producer++ & (size - 1)] = *text++;
	if (host->conring_producer - host->conring_consumer > size)
		host->conring_consumer = host->conring_producer - size;
	standin_unlock();
	standin_virq_raise(VIRQ_CON_RING);
}

size_t standin_conring_read(char *text, size_t length, bool clear, bool incremental, uint32_t *index)
{
	struct standin_state *host = standin_host();
	uint32_t from, held, size = host->conring_size;
	size_t got = 0;

	standin_lock();
	from = host->conring_consumer;
	held = host->conring_producer - from;
	if (incremental && *index - from <= held)
		from = *index;
	while (got < length && from != host->conring_producer)
		text[got++] = host->conring[from++ & (size - 1)];
	if (clear)
		host->conring_consumer = from;
	*index = from;
	standin_unlock();
	return got;
}
