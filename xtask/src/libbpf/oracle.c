// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What libbpf makes of objects: `oracle OBJECT…` prints, for each,
 *
 *	object PATH
 *	refused
 *	program NAME HEX [SLOT=MAP…]
 *
 * with the instructions that it would hand to the kernel. References to maps are named; their descriptors are zero.
 * `oracle --time N OBJECT BTF` prints how long libbpf takes to read the types and to resolve the CO-RE relocations, in
 * microseconds, the median of N times. LIBBPF_WARN=1 shows why libbpf refuses.
 */
#define _GNU_SOURCE
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* New in 1.5: all but the loading of programs. Older ones are asked to load them too. */
int bpf_object__prepare(struct bpf_object *object) __attribute__((weak));

static int prepare(struct bpf_object *object)
{
	return bpf_object__prepare ? bpf_object__prepare(object) : bpf_object__load(object);
}

/* What libbpf warns of is shown on demand. */
static int warn(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_WARN && getenv("LIBBPF_WARN") ? vfprintf(stderr, format, arguments) : 0;
}

/* Sizes that are the loader's to choose, so that the maps can be made. */
static void fit(struct bpf_object *object)
{
	struct bpf_program *program;
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		bpf_map__set_pin_path(map, NULL);
		switch (bpf_map__type(map)) {
		case BPF_MAP_TYPE_HASH:
		case BPF_MAP_TYPE_ARRAY:
		case BPF_MAP_TYPE_PERCPU_HASH:
		case BPF_MAP_TYPE_PERCPU_ARRAY:
		case BPF_MAP_TYPE_STACK_TRACE:
		case BPF_MAP_TYPE_LRU_HASH:
		case BPF_MAP_TYPE_DEVMAP:
		case BPF_MAP_TYPE_CPUMAP:
		case BPF_MAP_TYPE_XSKMAP:
			if (!bpf_map__max_entries(map))
				bpf_map__set_max_entries(map, 1);
			break;
		default:
			break;
		}
		if (bpf_map__type(map) == BPF_MAP_TYPE_STACK_TRACE && !bpf_map__value_size(map))
			bpf_map__set_value_size(map, 8 * 64);
	}
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, true);
}

static const char *map_of(struct bpf_object *object, int descriptor)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		const char *name = bpf_map__name(map), *dot = strchr(name, '.');

		if (bpf_map__fd(map) == descriptor)
			return bpf_map__is_internal(map) && dot ? dot : name;
	}
	return "?";
}

static void print(struct bpf_object *object, struct bpf_program *program)
{
	const struct bpf_insn *insns = bpf_program__insns(program);
	size_t count = bpf_program__insn_cnt(program);

	printf("program %s ", bpf_program__name(program));
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < count; i++) {
			struct bpf_insn insn = insns[i];
			int is_map = insn.code == (BPF_LD | BPF_IMM | BPF_DW) &&
				     (insn.src_reg == BPF_PSEUDO_MAP_FD || insn.src_reg == BPF_PSEUDO_MAP_VALUE);
			int wide = insn.code == (BPF_LD | BPF_IMM | BPF_DW);

			if (pass && is_map)
				printf(" %zu=%s", i, map_of(object, insn.imm));
			if (is_map)
				insn.imm = 0;
			for (int part = 0; part <= wide && i + part < count; part++) {
				struct bpf_insn slot = part ? insns[i + part] : insn;

				for (size_t byte = 0; !pass && byte < sizeof(slot); byte++)
					printf("%02x", ((unsigned char *)&slot)[byte]);
			}
			i += wide;
		}
	}
	printf("\n");
}

static void ask(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;

	printf("object %s\n", path);
	if (object)
		fit(object);
	if (!object || prepare(object)) {
		printf("refused\n");
	} else {
		bpf_object__for_each_program(program, object)
			if (bpf_program__autoload(program))
				print(object, program);
	}
	bpf_object__close(object);
	fflush(stdout);
}

static double first, last;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

/* libbpf tells when it begins with a section's relocations, and when it has written an answer. */
static int watch(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level, (void)arguments;
	if (strstr(format, "CO-RE relocations") && !first)
		first = now();
	if (strstr(format, "patched insn"))
		last = now();
	return 0;
}

static int ascending(const void *left, const void *right)
{
	double one = *(const double *)left, other = *(const double *)right;

	return (one > other) - (one < other);
}

static int take_time(int times, const char *path, const char *types)
{
	double *reading = calloc(times, sizeof(double)), *resolving = calloc(times, sizeof(double));

	if (times < 1 || !reading || !resolving)
		return 2;
	libbpf_set_print(watch);
	for (int i = 0; i < times; i++) {
		LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = types);
		double start = now();
		struct btf *btf = btf__parse_raw(types);
		struct bpf_object *object;

		reading[i] = now() - start;
		btf__free(btf);
		first = last = 0;
		object = bpf_object__open_file(path, &options);
		if (!object)
			return 1;
		prepare(object);
		resolving[i] = last - first;
		bpf_object__close(object);
	}
	qsort(reading, times, sizeof(double), ascending);
	qsort(resolving, times, sizeof(double), ascending);
	printf("%.0f %.0f\n", reading[times / 2], resolving[times / 2]);
	return 0;
}

int main(int count, char **words)
{
	libbpf_set_print(warn);
	if (count == 5 && !strcmp(words[1], "--time"))
		return take_time(atoi(words[2]), words[3], words[4]);
	for (int i = 1; i < count; i++)
		ask(words[i]);
	return 0;
}
