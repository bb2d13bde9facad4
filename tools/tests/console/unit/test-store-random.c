/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whatever happens and in whatever order, once it is quiet the follower knows what the
 * nodes say, and tty is written where the console is ours. Domains come, change and go,
 * and xenstored is stopped, killed and restarted meanwhile. The seeds are fixed; what
 * threads make of them is not.
 */
#define _GNU_SOURCE
#include "store-fixture.h"

#define DOMAINS 50
#define STEPS 1500

static unsigned int seed;

static unsigned int up_to(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static void change_domain(uint32_t domid)
{
	static const char *const types[] = { NULL, "xenconsoled", "ioemu" };
	char value[16];

	switch (up_to(4)) {
	case 0:
		fake_remove(path_of(domid, 0, ""));
		break;
	case 1:
		snprintf(value, sizeof(value), "%u", up_to(100));
		fake_set(path_of(domid, 0, "/ring-ref"), value);
		break;
	default:
		snprintf(value, sizeof(value), "%u", up_to(4));
		make_console(domid, value, types[up_to(3)]);
	}
}

static void change_xenstored(void)
{
	if (up_to(2))
		fake_stop(!fake.stopped);
	else if (fake.killed)
		fake_start(false);
	else
		fake_kill();
}

static void step(void)
{
	uint32_t domid = 1 + up_to(DOMAINS);
	unsigned int what = up_to(100);

	if (what < 50)
		change_domain(domid);
	else if (what < 70 && fx.cookie[domid][0])
		forget(domid);
	else if (what < 70)
		follow(domid);
	else if (what < 74)
		change_xenstored();
	else if (what < 80)
		heartbeat();
	else
		turn();
}

static bool agree(uint32_t domid)
{
	const struct store_nodes *n = &fx.seen[domid][0].nodes;
	char port[16], type[16], ring_ref[16], tty[16];
	int64_t number;
	bool ours;

	if (!fx.cookie[domid][0])
		return true;
	fake_lock();
	number = fake_get(path_of(domid, 0, "/port"), port, sizeof(port)) ? store_parse_port(port) : -1;
	ours = !fake_get(path_of(domid, 0, "/type"), type, sizeof(type)) || !strcmp(type, "xenconsoled");
	fake_get(path_of(domid, 0, "/ring-ref"), ring_ref, sizeof(ring_ref));
	fake_unlock();
	snprintf(tty, sizeof(tty), "/dev/pts/%u", domid);
	if (number < 0)
		return fx.seen[domid][0].first + fx.seen[domid][0].complete && n->port < 0;
	if (!ours)
		return n->port == number && n->type == STORE_TYPE_OTHER;
	return n->port == number && n->complete && n->type == STORE_TYPE_OURS &&
	       n->ring_ref == atoi(ring_ref) && tty_is(domid, 0, tty);
}

/* Beating, as time does. */
static bool all_agree(void)
{
	heartbeat();
	for (uint32_t domid = 1; domid <= DOMAINS; domid++)
		if (!agree(domid))
			return false;
	return true;
}

static void all_is_known_in_the_end(void **state)
{
	(void)state;
	for (unsigned int s = 1; s <= 3; s++) {
		seed = s;
		for (int i = 0; i < STEPS; i++)
			step();
		fake_start(false);
		fake_stop(false);
		WAIT_FOR(store_up(fx.store) && all_agree());
		print_message("seed %u: %u requests\n", s, fake_asked(FAKE_READ, NULL));
	}
}

static int set_up_store(void **state)
{
	int failed = set_up(state);

	fx.publishes = true;
	fake.introduced = FAKE_ALL; /* so that what is absent is believed */
	return failed ? failed : open_store(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_is_known_in_the_end, set_up_store, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
