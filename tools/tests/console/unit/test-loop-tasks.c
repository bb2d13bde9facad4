/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * loop: tasks against a model that keeps them in a list, and what is freed when a turn is over.
 */
#include "loop-fixture.h"

#include "random.h"

#define TASKS 20

static struct loop_task tasks[TASKS];
static int posted[TASKS], posted_count; /* what the next turn is to run */
static int due[TASKS], due_count;	/* what is left of this one's */
static int task_turn, runs;

static void forget(int list[], int *count, int i)
{
	for (int at = 0; at < *count; at++) {
		if (list[at] == i) {
			memmove(list + at, list + at + 1, (*count - at - 1) * sizeof(list[0]));
			--*count;
			return;
		}
	}
}

static bool queued(int i)
{
	for (int at = 0; at < due_count; at++)
		if (due[at] == i)
			return true;
	for (int at = 0; at < posted_count; at++)
		if (posted[at] == i)
			return true;
	return false;
}

static void change_tasks(void)
{
	for (int n = random_below(5); n; n--) {
		int i = random_below(TASKS);

		if (random_below(3)) {
			loop_post(loop, &tasks[i]);
			if (!queued(i))
				posted[posted_count++] = i;
		} else {
			loop_cancel(loop, &tasks[i]);
			forget(due, &due_count, i);
			forget(posted, &posted_count, i);
		}
	}
}

static void task_ran(struct loop_task *task)
{
	int i = task - tasks;

	if (waits != task_turn) { /* a new turn */
		task_turn = waits;
		assert_int_equal(due_count, 0);
		memcpy(due, posted, sizeof(due));
		due_count = posted_count;
		posted_count = 0;
	}
	assert_true(due_count > 0);
	assert_int_equal(due[0], i);
	forget(due, &due_count, i);
	runs++;
	change_tasks();
	if (!due_count && !posted_count && runs < 20000) {
		loop_post(loop, &tasks[0]);
		posted[posted_count++] = 0;
	}
	if (runs >= 20000)
		loop_stop(loop);
}

static void test_tasks_against_model(void **state)
{
	(void)state;
	random_begin();
	memset(tasks, 0, sizeof(tasks));
	posted_count = due_count = task_turn = runs = 0;
	for (int i = 0; i < TASKS; i++)
		tasks[i].run = task_ran;
	while (!posted_count)
		change_tasks();
	assert_int_equal(loop_run(loop), 0);
	assert_true(runs >= 20000);
	for (int i = 0; i < TASKS; i++)
		loop_cancel(loop, &tasks[i]);
}

static struct loop_task chain;
static struct end *chain_end;
static int chain_runs, calls_before_chain;

static void run_chain(struct loop_task *task)
{
	assert_int_equal(task->prev, NULL); /* it may be posted again */
	chain_runs++;
	calls_before_chain = chain_end->calls;
}

static void post_chain(struct end *end)
{
	loop_post(loop, &chain);
	loop_post(loop, &chain);
	assert_int_equal(chain_runs, end->calls - 1);
}

/* What a descriptor posts runs once, in the next turn, after the descriptors that are ready then. */
static void test_task_runs_in_the_next_turn(void **state)
{
	struct end end;

	(void)state;
	chain = (struct loop_task){ .run = run_chain };
	chain_runs = 0;
	chain_end = &end;
	end_init(&end, post_chain);
	run_turns(1);
	assert_int_equal(chain_runs, 0);
	end.then = NULL;
	run_turns(1);
	assert_int_equal(chain_runs, 1);
	assert_int_equal(calls_before_chain, 2);
	run_turns(3);
	assert_int_equal(chain_runs, 1);
	end_fini(&end);
}

/* ---- burials -------------------------------------------------------------- */

struct grave {
	struct loop_corpse corpse;
	struct grave *heir;
	int *freed;
};

static void free_grave(struct loop_corpse *corpse)
{
	struct grave *grave = container_of(corpse, struct grave, corpse);

	++*grave->freed;
	if (grave->heir)
		loop_bury(loop, &grave->heir->corpse, free_grave);
	free(grave);
}

static struct grave *grave_new(struct grave *heir, int *freed)
{
	struct grave *grave = malloc(sizeof(*grave));

	assert_non_null(grave);
	grave->heir = heir;
	grave->freed = freed;
	return grave;
}

static int freed_now;

static void bury_two(struct loop_task *task)
{
	(void)task;
	loop_bury(loop, &grave_new(grave_new(NULL, &freed_now), &freed_now)->corpse, free_grave);
	assert_int_equal(freed_now, 0);
}

static void look_at_graves(struct loop_task *task)
{
	(void)task;
	assert_int_equal(freed_now, 0);
}

static void test_burial_ends_the_turn(void **state)
{
	struct loop_task bury = { .run = bury_two }, look = { .run = look_at_graves };

	(void)state;
	freed_now = 0;
	loop_post(loop, &bury);
	loop_post(loop, &look);
	run_turns(1);
	assert_int_equal(freed_now, 2);
}

static void test_burial_before_and_after(void **state)
{
	int freed = 0;

	(void)state;
	loop_bury(loop, &grave_new(NULL, &freed)->corpse, free_grave);
	run_turns(1);
	assert_int_equal(last_timeout, 0);
	assert_int_equal(freed, 1);
	loop_bury(loop, &grave_new(grave_new(NULL, &freed), &freed)->corpse, free_grave);
	loop_free(loop);
	assert_int_equal(freed, 3);
	loop = NULL; /* and NULL is freed by drop_loop() */
}

static int fires;

static void count_fire(struct loop_timer *timer)
{
	(void)timer;
	fires++;
}

static void stop_at_once(struct end *end)
{
	loop_stop(loop);
	remove_self(end);
}

/* The turn that stops ends as every other: nothing that is due is left behind. */
static void test_stop_ends_the_turn(void **state)
{
	struct loop_timer timer = { .fire = count_fire };
	struct loop_task look = { .run = look_at_graves }, bury = { .run = bury_two };
	struct end end;

	(void)state;
	freed_now = fires = 0;
	loop_post(loop, &bury);
	loop_post(loop, &look);
	loop_arm(loop, &timer, 0);
	end_init(&end, stop_at_once);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(waits, 1);
	assert_int_equal(fires, 1);
	assert_int_equal(freed_now, 2);
	end_fini(&end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tasks_against_model),	 TEST(test_task_runs_in_the_next_turn),
		TEST(test_burial_ends_the_turn), TEST(test_burial_before_and_after),
		TEST(test_stop_ends_the_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
