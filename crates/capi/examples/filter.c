/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An object over two packets, then a few instructions over plain memory with a helper of our own.
 *
 *	cargo build -p alveary-capi
 *	cc -I crates/capi/include crates/capi/examples/filter.c target/debug/libalveary.a -lpthread -ldl -lm -o filter
 *	./filter examples/filter.bpf.o
 */
#include <alveary.h>

#include <stdio.h>
#include <string.h>

/* Type of the keys of the map `ports`, and of the values of `stats`, as in bpf/filter/filter.bpf.c. */
struct port {
	uint8_t protocol;
	uint8_t unused;
	uint16_t port;
};

struct traffic {
	uint64_t packets;
	uint64_t bytes;
};

enum { CPUS = 2, TCP = 6, OUTCOMES = 6 };

/* A frame with a TCP segment to `port`, of 54 bytes. */
static void frame(uint8_t *bytes, uint16_t port)
{
	static const uint8_t headers[54] = {
		[12] = 0x08, 0x00,		  /* IPv4 */
		[14] = 0x45, 0, 0, 40,		  /* 20 bytes of header, 40 in all */
		[22] = 64, TCP,			  /* TTL, protocol */
		[26] = 192, 0, 2, 1, 192, 0, 2, 2, /* source, destination */
		[34] = 0xc0, 0x00,		  /* source port */
		[46] = 0x50,			  /* 20 bytes of header */
	};

	memcpy(bytes, headers, sizeof(headers));
	bytes[36] = port >> 8;
	bytes[37] = port & 0xff;
}

static int run_packets(const char *path, alveary_target *target, alveary_error **error)
{
	static const uint16_t to[] = { 80, 23 };
	const struct port telnet = { .protocol = TCP, .port = 23 };
	const uint32_t drop = 1;
	alveary_object *object = alveary_open(path, error);
	alveary_loaded *loaded = alveary_load(object, target, NULL, error);
	const alveary_program *program = alveary_program_by_name(loaded, "filter", error);
	const alveary_map *ports = alveary_map_by_name(loaded, "ports", error);
	const alveary_map *stats = alveary_map_by_name(loaded, "stats", error);
	alveary_cpu *cpu = alveary_cpu_new(target, 1, error);
	int ok = alveary_map_update(ports, &telnet, sizeof(telnet), &drop, sizeof(drop), ALVEARY_ANY, error);

	for (size_t i = 0; ok == 0 && i < sizeof(to) / sizeof(*to); i++) {
		uint8_t bytes[54];
		alveary_packet packet = { .data = bytes, .size = sizeof(bytes) };
		alveary_verdict verdict = { 0 };

		frame(bytes, to[i]);
		ok = alveary_run(program, cpu, &packet, &verdict, error);
		if (ok == 0)
			printf("port %d: %s, %zu bytes\n", to[i], verdict.name, verdict.out_size);
	}

	/* A value for each CPU: the sum is what everyone wants to know. */
	for (uint32_t key = 0; ok == 0 && key < OUTCOMES; key++) {
		struct traffic each[CPUS], sum = { 0, 0 };

		if (alveary_map_lookup(stats, &key, sizeof(key), each, sizeof(each), error) < 0) {
			ok = -1;
			break;
		}
		for (int i = 0; i < CPUS; i++) {
			sum.packets += each[i].packets;
			sum.bytes += each[i].bytes;
		}
		if (sum.packets)
			printf("%s[%u]: %llu packets, %llu bytes\n", alveary_map_name(stats), key,
			       (unsigned long long)sum.packets, (unsigned long long)sum.bytes);
	}
	alveary_cpu_free(cpu);
	alveary_loaded_free(loaded);
	alveary_object_free(object);
	return ok;
}

/* uint64_t weigh(const void *bytes, uint64_t size): the sum of the bytes, times what `user` says. */
static uint64_t weigh(void *user, uint64_t bytes, uint64_t size, uint64_t r3, uint64_t r4, uint64_t r5)
{
	const uint8_t *byte = (const uint8_t *)(uintptr_t)bytes;
	uint64_t sum = 0;

	(void)r3, (void)r4, (void)r5;
	while (size--)
		sum += *byte++;
	return sum * *(const uint64_t *)user;
}

static int run_memory(alveary_target *target, alveary_error **error)
{
	/* *(u8 *)(r1 + 0) = 40; r0 = weigh(r1, r2); exit */
	struct insn { uint8_t op, regs; int16_t off; int32_t imm; };
	static const struct insn good[] = {
		{ 0x72, 0x01, 0, 40 }, { 0x85, 0, 0, ALVEARY_HELPER_FIRST_OWN }, { 0x95, 0, 0, 0 },
	};
	/* r0 = *(u8 *)(r1 + 4); exit: one byte too far */
	static const struct insn stray[] = { { 0x71, 0x10, 4, 0 }, { 0x95, 0, 0, 0 } };
	uint8_t memory[4] = { 0, 1, 0, 1 };
	alveary_result result = { 0, 0 };
	alveary_error *expected = NULL;
	alveary_object *object = alveary_open_code(good, sizeof(good), "good", error);
	alveary_loaded *loaded = alveary_load(object, target, NULL, error);
	int ok = alveary_run_memory(alveary_program_at(loaded, 0), NULL, memory, sizeof(memory), &result, error);

	if (ok == 0)
		printf("weight %llu, first byte %d\n", (unsigned long long)result.value, memory[0]);
	alveary_loaded_free(loaded);
	alveary_object_free(object);

	object = alveary_open_code(stray, sizeof(stray), "stray", error);
	loaded = alveary_load(object, target, NULL, error);
	if (alveary_run_memory(alveary_program_at(loaded, 0), NULL, memory, sizeof(memory), &result, &expected) < 0)
		printf("stopped: %s\n", alveary_error_message(expected));
	alveary_error_free(expected);
	alveary_loaded_free(loaded);
	alveary_object_free(object);
	return ok;
}

int main(int argc, char **argv)
{
	static uint64_t factor = 100;
	const alveary_helper helper = {
		.number = ALVEARY_HELPER_FIRST_OWN,
		.name = "weigh",
		.args = { { .kind = ALVEARY_ARG_MEM_READ }, { .kind = ALVEARY_ARG_SIZE } },
		.body = weigh,
		.user = &factor,
	};
	alveary_error *error = NULL;
	alveary_settings *settings = alveary_settings_new();
	alveary_target *target;
	int failed;

	if (argc != 2) {
		fprintf(stderr, "usage: %s filter.bpf.o\n", argv[0]);
		return 2;
	}
	alveary_settings_cpus(settings, CPUS, &error);
	alveary_settings_helper(settings, &helper, &error);
	target = alveary_target_new(settings, &error);
	alveary_settings_free(settings);
	failed = run_packets(argv[1], target, &error) < 0 || run_memory(target, &error) < 0;
	if (failed) {
		const char *help;

		fprintf(stderr, "error[%s]: %s\n", alveary_error_code(error), alveary_error_message(error));
		for (size_t i = 0; (help = alveary_error_help(error, i)); i++)
			fprintf(stderr, "help: %s\n", help);
	}
	alveary_error_free(error);
	alveary_target_free(target);
	return failed;
}
