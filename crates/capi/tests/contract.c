/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What alveary.h promises: NULL is tolerated, misuse is refused with a reason, maps and callbacks do what they say. */
#include <alveary.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static alveary_error *error;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, \
				alveary_error_message(error)); \
			exit(1); \
		} \
	} while (0)

/* The call fails with this code. */
#define REFUSED(call, wanted) \
	do { \
		CHECK(call); \
		if (strcmp(alveary_error_code(error), wanted)) \
			fprintf(stderr, "wanted %s, got %s\n", wanted, alveary_error_code(error)); \
		CHECK(!strcmp(alveary_error_code(error), wanted)); \
		CHECK(*alveary_error_message(error)); \
		alveary_error_free(error); \
		error = NULL; \
	} while (0)

struct insn { uint8_t op, regs; int16_t off; int32_t imm; };

static void null_is_refused(void)
{
	char bytes[8] = { 0 };

	CHECK(!*alveary_error_message(NULL) && !*alveary_error_code(NULL) && !alveary_error_help(NULL, 0));
	CHECK(!*alveary_error_kind(NULL));
	alveary_error_free(NULL);
	alveary_settings_free(NULL);
	alveary_target_free(NULL);
	alveary_object_free(NULL);
	alveary_loaded_free(NULL);
	alveary_cpu_free(NULL);
	CHECK(!alveary_program_at(NULL, 0) && !alveary_map_at(NULL, 0));
	CHECK(!*alveary_program_name(NULL) && !*alveary_map_name(NULL));
	CHECK(!alveary_open(NULL, NULL)); /* without a place for the error */
	REFUSED(alveary_settings_cpus(NULL, 1, &error) < 0, "null");
	REFUSED(alveary_settings_seed(NULL, 1, &error) < 0, "null");
	REFUSED(alveary_settings_clock(NULL, 0, &error) < 0, "null");
	REFUSED(alveary_settings_engine(NULL, 0, &error) < 0, "null");
	REFUSED(alveary_settings_version(NULL, 6, 1, 0, &error) < 0, "null");
	REFUSED(alveary_settings_btf(NULL, "vmlinux", &error) < 0, "null");
	REFUSED(alveary_settings_kconfig(NULL, "config", &error) < 0, "null");
	REFUSED(alveary_settings_helper(NULL, NULL, &error) < 0, "null");
	REFUSED(alveary_target_trace(NULL, NULL, NULL, &error) < 0, "null");
	REFUSED(!alveary_cpu_new(NULL, 0, &error), "null");
	REFUSED(alveary_cpu_set_budget(NULL, 1, &error) < 0, "null");
	REFUSED(alveary_cpu_set_time(NULL, 1, &error) < 0, "null");
	REFUSED(!alveary_open(NULL, &error), "null");
	REFUSED(!alveary_open_memory(NULL, 8, &error), "null");
	REFUSED(!alveary_open_code(NULL, 8, "name", &error), "null");
	REFUSED(alveary_object_set_variable(NULL, "limit", bytes, 4, &error) < 0, "null");
	REFUSED(alveary_object_set_max_entries(NULL, "map", 4, &error) < 0, "null");
	REFUSED(!alveary_load(NULL, NULL, NULL, &error), "null");
	REFUSED(alveary_variable(NULL, "limit", bytes, 4, &error) < 0, "null");
	REFUSED(!alveary_program_by_name(NULL, "name", &error), "null");
	REFUSED(!alveary_map_by_name(NULL, "name", &error), "null");
	REFUSED(alveary_run(NULL, NULL, NULL, NULL, &error) < 0, "null");
	REFUSED(alveary_run_batch(NULL, NULL, NULL, NULL, 1, &error) == 0, "null");
	REFUSED(alveary_run_memory(NULL, NULL, NULL, 0, NULL, &error) < 0, "null");
	REFUSED(alveary_map_get_info(NULL, NULL, &error) < 0, "null");
	REFUSED(alveary_map_lookup(NULL, bytes, 4, bytes, 4, &error) < 0, "null");
	REFUSED(alveary_map_update(NULL, bytes, 4, bytes, 4, 0, &error) < 0, "null");
	REFUSED(alveary_map_delete(NULL, bytes, 4, &error) < 0, "null");
	REFUSED(alveary_map_next_key(NULL, NULL, bytes, 4, &error) < 0, "null");
	REFUSED(alveary_map_events(NULL, NULL, NULL, &error) < 0, "null");
}

static void first_error_is_kept(void)
{
	alveary_target *target = alveary_target_new(NULL, &error);
	alveary_object *object = alveary_open("/nowhere/at-all.o", &error);
	alveary_loaded *loaded = alveary_load(object, target, NULL, &error);

	CHECK(!alveary_program_by_name(loaded, "main", &error));
	CHECK(strstr(alveary_error_message(error), "/nowhere/at-all.o"));
	CHECK(alveary_error_help(error, 0) && !alveary_error_help(error, 99));
	CHECK(!strcmp(alveary_error_kind(error), "read"));
	alveary_error_free(error);
	error = NULL;
	REFUSED(!alveary_open_memory("no object", 9, &error), "elf-magic");
	alveary_target_free(target);
}

static uint64_t twice(void *user, uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5)
{
	(void)user, (void)r2, (void)r3, (void)r4, (void)r5;
	return 2 * r1;
}

static void settings_are_judged(void)
{
	alveary_settings *settings = alveary_settings_new();
	alveary_helper helper = { .number = 1, .name = "twice", .args = { { ALVEARY_ARG_SCALAR, 0 } }, .body = twice };

	REFUSED(alveary_settings_cpus(settings, 0, &error) < 0, "argument");
	REFUSED(alveary_settings_cpus(settings, UINT32_MAX, &error) < 0, "argument");
	REFUSED(alveary_settings_clock(settings, 2, &error) < 0, "argument");
	REFUSED(alveary_settings_engine(settings, 3, &error) < 0, "argument");
	REFUSED(alveary_settings_version(settings, 6, 1 << 16, 0, &error) < 0, "argument");
	REFUSED(alveary_settings_btf(settings, NULL, &error) < 0, "null");
	REFUSED(alveary_settings_btf(settings, "/nowhere/vmlinux", &error) < 0, "read");
	REFUSED(alveary_settings_btf(settings, "/dev/null", &error) < 0, "btf-magic");
	REFUSED(alveary_settings_kconfig(settings, "/nowhere/config", &error) < 0, "read");
	REFUSED(alveary_settings_helper(settings, &helper, &error) < 0, "argument"); /* a number of Linux's */
	helper.number = ALVEARY_HELPER_FIRST_OWN;
	helper.body = NULL;
	REFUSED(alveary_settings_helper(settings, &helper, &error) < 0, "null");
	helper.body = twice;
	helper.ret = 9;
	REFUSED(alveary_settings_helper(settings, &helper, &error) < 0, "argument");
	helper.ret = ALVEARY_RET_SCALAR;
	helper.args[1].kind = 99;
	REFUSED(alveary_settings_helper(settings, &helper, &error) < 0, "argument");
	helper.args[1].kind = ALVEARY_ARG_SIZE; /* of what? */
	REFUSED(alveary_settings_helper(settings, &helper, &error) < 0, "argument");
	helper.args[1].kind = ALVEARY_ARG_MEM_READ; /* of which size? */
	REFUSED(alveary_settings_helper(settings, &helper, &error) < 0, "argument");
	helper.args[1].kind = ALVEARY_ARG_MAP_KEY; /* of which map? */
	REFUSED(alveary_settings_helper(settings, &helper, &error) < 0, "argument");
	helper.args[1].kind = ALVEARY_ARG_SCALAR | ALVEARY_ARG_OR_NULL;
	REFUSED(alveary_settings_helper(settings, &helper, &error) < 0, "argument");
	helper.args[1].kind = ALVEARY_ARG_NONE;
	CHECK(alveary_settings_helper(settings, &helper, &error) == 0);
	REFUSED(alveary_settings_helper(settings, &helper, &error) < 0, "argument"); /* taken */
	alveary_settings_free(settings);
}

static void code_runs_over_memory(void)
{
	/* r1 = r2; call twice; call +1; exit; and: r0 += 1; exit */
	static const struct insn good[] = {
		{ 0xbf, 0x21, 0, 0 }, { 0x85, 0x00, 0, ALVEARY_HELPER_FIRST_OWN }, { 0xbf, 0x01, 0, 0 },
		{ 0x85, 0x10, 0, 1 }, { 0x95, 0, 0, 0 }, { 0xbf, 0x10, 0, 0 }, { 0x07, 0x00, 0, 1 }, { 0x95, 0, 0, 0 },
	};
	static const struct insn endless[] = { { 0x05, 0, -1, 0 } };
	alveary_helper helper = { .number = ALVEARY_HELPER_FIRST_OWN, .name = "twice",
				  .args = { { ALVEARY_ARG_SCALAR, 0 } }, .body = twice };
	alveary_settings *settings = alveary_settings_new();
	alveary_load_options options = { .type = "memori" };
	alveary_target *target, *other = alveary_target_new(NULL, &error);
	alveary_object *object;
	alveary_loaded *loaded;
	const alveary_program *program;
	alveary_cpu *cpu, *foreign = alveary_cpu_new(other, 0, &error);
	alveary_result result;
	alveary_verdict verdict = { 0 };
	alveary_packet packet = { 0 };
	char memory[5];

	CHECK(alveary_settings_helper(settings, &helper, &error) == 0);
	target = alveary_target_new(settings, &error);
	alveary_settings_free(settings);
	REFUSED(!alveary_open_code(good, 7, "short", &error), "argument");
	object = alveary_open_code(good, sizeof(good), "good", &error);
	REFUSED(alveary_object_set_variable(object, "limit", memory, 4, &error) < 0, "not-found");
	REFUSED(alveary_object_set_max_entries(object, "numbers", 4, &error) < 0, "not-found");
	REFUSED(!alveary_load(object, target, &options, &error), "program-type");
	REFUSED(!alveary_load(object, other, NULL, &error), "helper-unknown");
	loaded = alveary_load(object, target, NULL, &error);
	alveary_object_free(object);
	REFUSED(!alveary_program_by_name(loaded, "god", &error), "not-found");
	program = alveary_program_by_name(loaded, "good", &error);
	CHECK(program && program == alveary_program_at(loaded, 0) && !alveary_program_at(loaded, 1));
	CHECK(!strcmp(alveary_program_name(program), "good"));

	CHECK(alveary_run_memory(program, NULL, memory, sizeof(memory), &result, &error) == 0);
	CHECK(result.value == 11 && result.insns == 8);
	CHECK(alveary_run_memory(program, NULL, NULL, 0, &result, &error) == 0 && result.value == 1);
	REFUSED(alveary_run_memory(program, NULL, NULL, 5, &result, &error) < 0, "null");
	REFUSED(alveary_run_memory(program, foreign, NULL, 0, &result, &error) < 0, "cpu-foreign");
	REFUSED(alveary_run(program, NULL, &packet, &verdict, &error) < 0, "no-packets");
	cpu = alveary_cpu_new(target, 0, &error);
	REFUSED(!alveary_cpu_new(target, 0, &error), "cpu-busy");
	REFUSED(!alveary_cpu_new(target, 1, &error), "cpu-busy");
	REFUSED(alveary_run_memory(program, NULL, NULL, 0, &result, &error) < 0, "cpu-busy");
	alveary_target_free(target); /* its CPU and its programs keep it */
	CHECK(alveary_run_memory(program, cpu, memory, 3, &result, &error) == 0 && result.value == 7);
	alveary_loaded_free(loaded);

	object = alveary_open_code(endless, sizeof(endless), "endless", &error);
	loaded = alveary_load(object, other, NULL, &error);
	CHECK(alveary_cpu_set_budget(foreign, 1000, &error) == 0);
	CHECK(alveary_run_memory(alveary_program_at(loaded, 0), foreign, NULL, 0, &result, &error) < 0);
	CHECK(strstr(alveary_error_message(error), "endless"));
	CHECK(!strcmp(alveary_error_kind(error), "trap"));
	alveary_error_free(error);
	error = NULL;
	alveary_object_free(object);
	alveary_loaded_free(loaded);
	alveary_cpu_free(cpu);
	alveary_cpu_free(foreign);
	alveary_target_free(other);
}

/* uint64_t entry_of(map, key) */
static uint64_t entry_of(void *user, uint64_t map, uint64_t key, uint64_t r3, uint64_t r4, uint64_t r5)
{
	uint64_t entry = 0;

	(void)r3, (void)r4, (void)r5;
	if (!*(char *)user) /* the first call is alone */
		strcpy(user, alveary_map_name((const alveary_map *)(uintptr_t)map));
	alveary_map_lookup((const alveary_map *)(uintptr_t)map, (const void *)(uintptr_t)key, 4, &entry, 8, NULL);
	return entry;
}

static void on_line(void *user, const char *line)
{
	*(int *)user += strstr(line, "bpf_trace_printk: hello") != NULL;
}

static void on_event(void *user, uint32_t cpu, const void *data, size_t size)
{
	CHECK(cpu == 0 && size == 8);
	memcpy(user, data, size);
}

static alveary_packet packet_of(size_t size)
{
	return (alveary_packet){ .data = "0123456789abcdef0123", .size = size };
}

struct job {
	alveary_target *target;
	const alveary_program *program;
	uint32_t cpu;
	int failures;
};

static void *work(void *argument)
{
	struct job *job = argument;
	alveary_cpu *cpu = alveary_cpu_new(job->target, job->cpu, NULL);

	for (int i = 0; i < 100; i++) {
		alveary_packet packet = { .data = "0123456789abcdef", .size = 16 };
		alveary_verdict verdict = { 0 };

		job->failures += alveary_run(job->program, cpu, &packet, &verdict, NULL) < 0 || verdict.code != 2;
	}
	alveary_cpu_free(cpu);
	return NULL;
}

static void maps_and_callbacks(const char *path)
{
	char name[32] = "";
	alveary_helper helper = { .number = ALVEARY_HELPER_FIRST_OWN + 4, .name = "entry_of",
				  .args = { { ALVEARY_ARG_MAP, 0 }, { ALVEARY_ARG_MAP_KEY, 0 } },
				  .body = entry_of, .user = name };
	alveary_settings *settings = alveary_settings_new();
	alveary_target *target;
	alveary_object *object = alveary_open(path, &error);
	alveary_loaded *loaded;
	const alveary_map *numbers, *events;
	const alveary_program *calls;
	alveary_map_info info;
	alveary_packet packet = { .data = "0123456789abcdef", .size = 16 };
	char out[4] = "";
	alveary_verdict verdict = { .out = out, .out_capacity = sizeof(out) };
	alveary_load_options options = { .type = "memory" };
	alveary_packet packets[] = { packet_of(16), packet_of(20), { .size = 16 } };
	alveary_verdict verdicts[3] = { { 0 } };
	alveary_result result;
	uint32_t key = 7, next = 0;
	uint64_t entry = 99, event = 0;
	int lines = 0;
	struct job jobs[3];
	pthread_t threads[3];

	CHECK(alveary_settings_cpus(settings, 4, &error) == 0);
	CHECK(alveary_settings_helper(settings, &helper, &error) == 0);
	target = alveary_target_new(settings, &error);
	alveary_settings_free(settings);
	REFUSED(!alveary_load(object, target, NULL, &error), "program-type"); /* what type is the section `plugin`? */
	loaded = alveary_load(object, target, &options, &error);
	alveary_object_free(object);
	calls = alveary_program_by_name(loaded, "calls", &error);
	numbers = alveary_map_by_name(loaded, "numbers", &error);
	events = alveary_map_by_name(loaded, "events", &error);
	CHECK(calls && numbers && events);
	REFUSED(!alveary_map_by_name(loaded, "number", &error), "not-found");
	CHECK(alveary_map_get_info(numbers, &info, &error) == 0);
	CHECK(info.type == 1 && info.key_size == 4 && info.value_size == 8 && info.max_entries == 4);
	CHECK(info.entry_size == 8);

	CHECK(alveary_map_lookup(numbers, &key, 4, &entry, 8, &error) == 0);
	REFUSED(alveary_map_lookup(numbers, &key, 3, &entry, 8, &error) < 0, "map-size");
	REFUSED(alveary_map_lookup(numbers, &key, 4, &entry, 4, &error) < 0, "argument");
	REFUSED(alveary_map_update(numbers, &key, 4, &entry, 8, ALVEARY_EXIST, &error) < 0, "map-operation");
	CHECK(alveary_map_update(numbers, &key, 4, &entry, 8, ALVEARY_NOEXIST, &error) == 0);
	CHECK(alveary_map_next_key(numbers, NULL, &next, 4, &error) == 1 && next == 7);
	CHECK(alveary_map_next_key(numbers, &next, &next, 4, &error) == 0);
	REFUSED(alveary_map_events(numbers, on_event, &event, &error) < 0, "map-operation");

	CHECK(alveary_run(calls, NULL, &packet, &verdict, &error) == 0);
	CHECK(verdict.code == 2 && !strcmp(verdict.name, "XDP_PASS") && verdict.insns == 0);
	CHECK(!alveary_program_unproven(calls));
	CHECK(!!strstr(alveary_program_unproven(alveary_program_by_name(loaded, "first_byte", &error)), "context"));
	CHECK(verdict.out_size == 16 && !memcmp(out, "0123", 4));
	CHECK(!strcmp(name, "numbers"));
	CHECK(alveary_map_events(events, on_event, &event, &error) == 0 && event == 99);
	CHECK(alveary_target_trace(target, on_line, &lines, &error) == 0 && lines == 1);

	CHECK(alveary_run_memory(alveary_program_by_name(loaded, "first_byte", &error), NULL, "\7", 1, &result, &error) == 0);
	CHECK(result.value == 99);

	CHECK(alveary_run_batch(calls, NULL, packets, verdicts, 2, &error) == 2);
	CHECK(verdicts[0].out_size == 16 && verdicts[1].out_size == 20 && verdicts[1].code == 2);
	REFUSED(alveary_run_batch(calls, NULL, packets, verdicts, 3, &error) == 2, "null"); /* the third has no data */
	CHECK(alveary_target_trace(target, on_line, &lines, &error) == 0 && lines == 5);

	CHECK(alveary_map_delete(numbers, &key, 4, &error) == 1);
	CHECK(alveary_map_delete(numbers, &key, 4, &error) == 0);

	for (uint32_t i = 0; i < 3; i++) {
		jobs[i] = (struct job){ target, calls, i + 1, 0 };
		CHECK(pthread_create(&threads[i], NULL, work, &jobs[i]) == 0);
	}
	for (int i = 0; i < 3; i++) {
		CHECK(pthread_join(threads[i], NULL) == 0 && jobs[i].failures == 0);
	}
	CHECK(alveary_target_trace(target, on_line, &lines, &error) == 0 && lines == 305);
	alveary_loaded_free(loaded);
	alveary_target_free(target);
}

/* What the program of this name returns. */
static int told_by(const alveary_loaded *loaded, const char *name)
{
	alveary_packet packet = packet_of(20);
	alveary_verdict verdict = { 0 };

	CHECK(alveary_run(alveary_program_by_name(loaded, name, &error), NULL, &packet, &verdict, &error) == 0);
	return verdict.code;
}

static void kernels_and_variables_are_said(const char *calls, const char *told, const char *types, const char *kconfig)
{
	alveary_settings *settings = alveary_settings_new();
	alveary_target *target = alveary_target_new(settings, &error);
	alveary_object *object = alveary_open(told, &error);
	alveary_load_options numbers_alone = { .type = "memory" };
	alveary_helper helper = { .number = ALVEARY_HELPER_FIRST_OWN + 4, .name = "entry_of",
				  .args = { { ALVEARY_ARG_MAP, 0 }, { ALVEARY_ARG_MAP_KEY, 0 } },
				  .body = entry_of, .user = (char[32]){ 0 } };
	alveary_loaded *first, *second;
	alveary_map_info info;
	uint32_t limit = 100;
	uint64_t seen = 20;
	uint16_t kept = 3000;

	CHECK(target && !alveary_load(object, target, NULL, &error)); /* no types, no configuration */
	CHECK(strstr(alveary_error_message(error), "CONFIG_HZ"));
	alveary_error_free(error);
	error = NULL;
	alveary_target_free(target);

	CHECK(alveary_settings_version(settings, 6, 1, 300, &error) == 0);
	CHECK(alveary_settings_btf(settings, types, &error) == 0);
	CHECK(alveary_settings_kconfig(settings, kconfig, &error) == 0);
	CHECK(alveary_settings_helper(settings, &helper, &error) == 0);
	target = alveary_target_new(settings, &error);
	alveary_settings_free(settings);
	first = alveary_load(object, target, NULL, &error);
	CHECK(first);
	CHECK(told_by(first, "version") == (6 << 16 | 1 << 8 | 255));
	CHECK(told_by(first, "hz") == 1000 && told_by(first, "offset") == 12);
	CHECK(told_by(first, "sum") == 10 && told_by(first, "sum") == 11);

	REFUSED(alveary_object_set_variable(object, "limits", &limit, 4, &error) < 0, "not-found");
	REFUSED(alveary_object_set_variable(object, "CONFIG_HZ", &limit, 4, &error) < 0, "not-found");
	REFUSED(alveary_object_set_variable(object, "limit", &limit, 2, &error) < 0, "variable-size");
	CHECK(alveary_object_set_variable(object, "limit", &limit, sizeof(limit), &error) == 0);
	CHECK(alveary_object_set_variable(object, "seen", &seen, sizeof(seen), &error) == 0);
	CHECK(alveary_object_set_variable(object, "kept", &kept, sizeof(kept), &error) == 0);
	second = alveary_load(object, target, NULL, &error);
	CHECK(told_by(second, "sum") == 3120 && told_by(first, "sum") == 12); /* what is loaded stays as it is */
	CHECK(alveary_variable(second, "seen", &seen, sizeof(seen), &error) == 0 && seen == 21);
	CHECK(alveary_variable(first, "seen", &seen, sizeof(seen), &error) == 0 && seen == 3);
	CHECK(alveary_variable(second, "kept", &kept, sizeof(kept), &error) == 0 && kept == 3000);
	REFUSED(alveary_variable(first, "sean", &seen, sizeof(seen), &error) < 0, "not-found");
	REFUSED(alveary_variable(first, "seen", &seen, 4, &error) < 0, "argument");
	REFUSED(alveary_variable(first, "seen", NULL, sizeof(seen), &error) < 0, "null");
	alveary_object_free(object);
	alveary_loaded_free(first);
	alveary_loaded_free(second);

	object = alveary_open(calls, &error);
	REFUSED(alveary_object_set_max_entries(object, "number", 9, &error) < 0, "not-found");
	CHECK(alveary_object_set_max_entries(object, "numbers", 9, &error) == 0);
	first = alveary_load(object, target, &numbers_alone, &error);
	CHECK(alveary_map_get_info(alveary_map_by_name(first, "numbers", &error), &info, &error) == 0);
	CHECK(info.max_entries == 9);
	alveary_object_free(object);
	alveary_loaded_free(first);
	alveary_target_free(target);
}

int main(int argc, char **argv)
{
	CHECK(!strncmp(alveary_version(), "0.", 2));
	null_is_refused();
	first_error_is_kept();
	settings_are_judged();
	code_runs_over_memory();
	if (argc > 4) {
		maps_and_callbacks(argv[1]);
		kernels_and_variables_are_said(argv[1], argv[2], argv[3], argv[4]);
	}
	CHECK(!error);
	puts("as promised");
	return 0;
}
