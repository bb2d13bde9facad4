/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A list keeps the order in which its members came, whatever list they came from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/link.h"
#include "base/loop.h"

struct member {
	char name;
	struct link link;
};

static struct member members[] = { { .name = 'a' }, { .name = 'b' }, { .name = 'c' } };
static struct link *a = &members[0].link, *b = &members[1].link, *c = &members[2].link;
static struct link list, other;

static int set_up(void **state)
{
	(void)state;
	link_init(&list);
	link_init(&other);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		link_init(&members[i].link);
		link_move(&members[i].link, &list);
	}
	return 0;
}

/* Forwards and backwards. */
static void assert_list(const struct link *head, const char *names)
{
	const struct link *l = head;

	for (const char *name = names; *name; name++) {
		assert_ptr_equal(l->next->prev, l);
		l = l->next;
		assert_ptr_not_equal(l, head);
		assert_int_equal(container_of(l, struct member, link)->name, *name);
	}
	assert_ptr_equal(l->next, head);
	assert_ptr_equal(head->prev, l);
	assert_int_equal(link_alone(head), !*names);
}

static void what_moves_goes_to_the_end(void **state)
{
	(void)state;
	assert_list(&list, "abc");
	link_move(a, &list);
	assert_list(&list, "bca");
	link_move(a, &list);
	assert_list(&list, "bca");
	link_move(c, &other);
	assert_list(&list, "ba");
	assert_list(&other, "c");
}

static void or_to_the_beginning(void **state)
{
	(void)state;
	link_move_first(c, &list);
	assert_list(&list, "cab");
	link_move_first(c, &list);
	assert_list(&list, "cab");
	link_move_first(b, &other);
	link_move_first(a, &other);
	assert_list(&list, "c");
	assert_list(&other, "ab");
}

static void who_is_removed_is_alone(void **state)
{
	(void)state;
	link_remove(b);
	assert_true(link_alone(b));
	assert_list(&list, "ac");
	link_remove(b);
	link_remove(a);
	link_remove(c);
	assert_list(&list, "");
}

static void all_go_behind_those_of_the_other_list(void **state)
{
	(void)state;
	link_move(c, &other);
	link_move_all(&list, &other);
	assert_list(&list, "");
	assert_list(&other, "cab");
	link_move_all(&list, &other);
	assert_list(&other, "cab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_moves_goes_to_the_end, set_up),
		cmocka_unit_test_setup(or_to_the_beginning, set_up),
		cmocka_unit_test_setup(who_is_removed_is_alone, set_up),
		cmocka_unit_test_setup(all_go_behind_those_of_the_other_list, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
