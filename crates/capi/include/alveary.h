/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * alveary.h: load and run eBPF programs in user space, from C and C++.
 *
 *	alveary_error *error = NULL;
 *	alveary_target *target = alveary_target_new(NULL, &error);
 *	alveary_object *object = alveary_open("count.bpf.o", &error);
 *	alveary_loaded *loaded = alveary_load(object, target, NULL, &error);
 *	const alveary_program *program = alveary_program_by_name(loaded, "count", &error);
 *	alveary_packet packet = { .data = bytes, .size = size };
 *	alveary_verdict verdict = { 0 };
 *	if (alveary_run(program, NULL, &packet, &verdict, &error) < 0)
 *		fprintf(stderr, "%s\n", alveary_error_message(error));
 *
 * Every access of a program is held against the memory that it was given. A program that goes astray is stopped, with
 * an error that names the instruction; this process goes on.
 *
 * Errors. What fails gives NULL or -1 and, unless `error` is NULL, sets *error, which must be NULL or an error before: an
 * error that stands there already is kept, so that the first one is found at the end of a row of calls as above. What
 * succeeds leaves it as it is. The caller frees it, and sets it to NULL to use it again. NULL where a handle is expected
 * is such a failure, never a crash.
 *
 * Ownership. Each ..._new, _open... and _load gives a handle that the caller frees by the ..._free of its type; freeing
 * NULL does nothing. Programs and maps belong to the alveary_loaded that they were found in, strings to the handle that
 * they were asked of; they live as long as that. An alveary_loaded keeps its target: handles may be freed in any order.
 *
 * Threads. alveary_target, alveary_object, alveary_loaded, alveary_program and alveary_map may be used by any number of
 * threads at once. An alveary_cpu may move between threads, but runs one program at a time: a second run meanwhile is
 * refused with an error. An alveary_settings or alveary_error belongs to one thread at a time, and so does an
 * alveary_object while it is changed.
 */
#ifndef ALVEARY_H
#define ALVEARY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct alveary_error alveary_error;       /* what went wrong */
typedef struct alveary_settings alveary_settings; /* what a target shall be like */
typedef struct alveary_target alveary_target;     /* a user-space kernel */
typedef struct alveary_object alveary_object;     /* an object file, or instructions */
typedef struct alveary_loaded alveary_loaded;     /* an object on a target: its programs and maps */
typedef struct alveary_program alveary_program;   /* a loaded program */
typedef struct alveary_map alveary_map;           /* a loaded map */
typedef struct alveary_cpu alveary_cpu;           /* a virtual CPU */

/* The library's version, "0.1.0". */
const char *alveary_version(void);

/* ---- Errors ---------------------------------------------------------------------------------------------------- */

/* One line: where, what, what was expected and what was found. Empty for NULL. */
const char *alveary_error_message(const alveary_error *error);

/* A stable name of the error, "elf-truncated" or "map-size". Of a rejected program: what is wrong with it,
 * "packet-access". Empty for NULL. */
const char *alveary_error_code(const alveary_error *error);

/* What kind of error it is: "verifier" if the verifier rejects a program, "object", "resolve", "unsupported",
 * "not-found", "map", "trap", "busy", "read"; empty for NULL, and if the call itself is wrong ("argument", "null"). */
const char *alveary_error_kind(const alveary_error *error);

/* What to do about it, line `index` from 0 on; NULL behind the last one. */
const char *alveary_error_help(const alveary_error *error, size_t index);

void alveary_error_free(alveary_error *error);

/* ---- Settings -------------------------------------------------------------------------------------------------- */

/* One virtual CPU, the seed 0, a clock that stands still between packets: runs can be repeated exactly. */
alveary_settings *alveary_settings_new(void);

/* Number of virtual CPUs, 1 to 8192: as many threads can run programs at once, as many values have per-CPU maps. */
int alveary_settings_cpus(alveary_settings *settings, uint32_t cpus, alveary_error **error);

/* Seed of the random numbers that programs get. */
int alveary_settings_seed(alveary_settings *settings, uint64_t seed, alveary_error **error);

/*
 * Clocks that programs can read. ALVEARY_CLOCK_VIRTUAL: a number that the caller sets, by alveary_packet.time and
 * alveary_cpu_set_time. ALVEARY_CLOCK_REAL: the machine's.
 */
enum { ALVEARY_CLOCK_VIRTUAL = 0, ALVEARY_CLOCK_REAL = 1 };
int alveary_settings_clock(alveary_settings *settings, uint32_t clock, alveary_error **error);

/*
 * Whether programs are verified when they are loaded, which they are unless told otherwise (0). What the verifier rejects
 * is not loaded; what it proves runs as it is; what it cannot judge (programs of type "memory", for one), and all that is
 * loaded unverified, runs with each access checked: a program that goes astray is stopped.
 */
int alveary_settings_verify(alveary_settings *settings, int verify, alveary_error **error);

/*
 * What runs proven programs. AUTO, which it is unless told otherwise, interprets them at first and makes native code of
 * those that have run a thousand times, or long; JIT makes it at once, and loads nothing that there is no native code
 * of.
 */
enum { ALVEARY_ENGINE_AUTO = 0, ALVEARY_ENGINE_JIT = 1, ALVEARY_ENGINE_INTERP = 2 };
int alveary_settings_engine(alveary_settings *settings, uint32_t engine, alveary_error **error);

/*
 * The kernel that targets claim to be; 6.18.44 unless told otherwise. Helpers, map types and program types that came later
 * are refused, and LINUX_KERNEL_VERSION is this. A third number above 255 counts as 255, as in kernels.
 */
int alveary_settings_version(alveary_settings *settings, uint32_t major, uint32_t minor, uint32_t patch,
			     alveary_error **error);

/*
 * The kernel's types, by which CO-RE relocations are resolved: a file of BTF, as /sys/kernel/btf/vmlinux, or an ELF file
 * with some. It is read now. Without, objects that ask for a kernel's types are refused.
 */
int alveary_settings_btf(alveary_settings *settings, const char *path, alveary_error **error);

/*
 * The kernel's configuration, by which __kconfig variables are filled: a file of lines CONFIG_NAME=value, gzip too, as
 * /proc/config.gz. It is read now.
 */
int alveary_settings_kconfig(alveary_settings *settings, const char *path, alveary_error **error);

void alveary_settings_free(alveary_settings *settings);

/* ---- Helpers of your own --------------------------------------------------------------------------------------- */

/* Numbers from here on are yours; those below are Linux's. In eBPF C: static long (*price)(long) = (void *)65536; */
#define ALVEARY_HELPER_FIRST_OWN 0x10000

/* What a helper takes as one argument. Each call is held against it before the body runs. */
enum {
	ALVEARY_ARG_NONE = 0,	       /* no argument; none follows */
	ALVEARY_ARG_SCALAR = 1,	       /* any value; a pointer is but a number here, not to be followed */
	ALVEARY_ARG_CTX = 2,	       /* the program's context: a word that says nothing to C */
	ALVEARY_ARG_MAP = 3,	       /* a map; the body gets a const alveary_map *, valid during the call */
	ALVEARY_ARG_MAP_KEY = 4,       /* a key of the map, which is the first argument */
	ALVEARY_ARG_MAP_VALUE = 5,     /* a value for the map, which is the first argument */
	ALVEARY_ARG_MEM_READ = 6,      /* memory that the body reads */
	ALVEARY_ARG_MEM_WRITE = 7,     /* memory that the body fills */
	ALVEARY_ARG_MEM_READ_WRITE = 8, /* memory that the body reads and changes */
	ALVEARY_ARG_SIZE = 9,	       /* bytes of the memory in the argument before; not 0 */
	ALVEARY_ARG_SIZE_OR_ZERO = 10  /* the same; may be 0 */
};

/* Added to a kind: NULL is allowed as well. For ALVEARY_ARG_CTX, _MAP_VALUE and _MEM_... */
#define ALVEARY_ARG_OR_NULL 0x100

/* What a helper gives back. */
enum {
	ALVEARY_RET_SCALAR = 0, /* a number */
	ALVEARY_RET_VOID = 1	/* nothing: the program must not use r0 */
};

typedef struct alveary_arg {
	uint32_t kind; /* ALVEARY_ARG_... */
	uint32_t size; /* for ALVEARY_ARG_MEM_...: its bytes; 0: the next argument says, and is an ALVEARY_ARG_SIZE... */
} alveary_arg;

/*
 * A helper's body. Arguments that are memory, a key or a value are addresses that it may follow as its prototype says,
 * and only during the call. It may be called by several threads at once, one for each virtual CPU that runs programs.
 * It must return: no longjmp, no C++ exception may leave it.
 */
typedef uint64_t (*alveary_helper_fn)(void *user, uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5);

typedef struct alveary_helper {
	uint32_t number;	/* ALVEARY_HELPER_FIRST_OWN or more */
	uint32_t ret;		/* ALVEARY_RET_... */
	const char *name;	/* for messages; a C identifier */
	alveary_arg args[5];
	alveary_helper_fn body;
	void *user;		/* handed to the body; must stay valid until all is freed that was loaded on the target */
} alveary_helper;

/*
 * Adds a helper to the targets that are made from these settings from now on. Programs of every type may call it; one
 * program may call 32 such helpers. The definition is copied, and kept until the process ends: add a helper once, not
 * for each packet.
 */
int alveary_settings_helper(alveary_settings *settings, const alveary_helper *helper, alveary_error **error);

/* ---- Targets --------------------------------------------------------------------------------------------------- */

/* A user-space kernel. Settings may be NULL, and stay the caller's. */
alveary_target *alveary_target_new(const alveary_settings *settings, alveary_error **error);

/* Is handed the lines that programs printed (bpf_printk), as the kernel's trace_pipe shows them. */
typedef void (*alveary_trace_fn)(void *user, const char *line);

/* Hands over what was printed since the last call, oldest first. Gives the number of lines lost in between, or -1. */
int64_t alveary_target_trace(const alveary_target *target, alveary_trace_fn each, void *user, alveary_error **error);

void alveary_target_free(alveary_target *target);

/*
 * Virtual CPU `number`, from 0 on, until it is freed. Refused while someone else has it. It keeps the target.
 */
alveary_cpu *alveary_cpu_new(const alveary_target *target, uint32_t number, alveary_error **error);

/*
 * How many instructions one run may take; 2^32 unless told otherwise. Of proven programs, which come to an end, the rounds
 * of their loops by helpers are counted alone.
 */
int alveary_cpu_set_budget(alveary_cpu *cpu, uint64_t instructions, alveary_error **error);

/* The time in ns, where the clock is virtual. A packet sets it, too. */
int alveary_cpu_set_time(alveary_cpu *cpu, uint64_t ns, alveary_error **error);

/* Not while a program runs on it. */
void alveary_cpu_free(alveary_cpu *cpu);

/* ---- Objects --------------------------------------------------------------------------------------------------- */

/* Reads an eBPF object file. */
alveary_object *alveary_open(const char *path, alveary_error **error);

/* Reads an eBPF object file from memory, which is copied. */
alveary_object *alveary_open_memory(const void *bytes, size_t size, alveary_error **error);

/*
 * Takes bare instructions, 8 bytes each in the byte order of this machine, as one program of the given name. Local calls
 * are relative; there are no maps. The program is of type "memory" unless alveary_load is told otherwise.
 */
alveary_object *alveary_open_code(const void *code, size_t size, const char *name, alveary_error **error);

/*
 * What follows changes an object for loads to come; those that are loaded stay as they are. Not while another thread uses
 * the object.
 */

/*
 * Sets what a global variable begins with, constants (const volatile) included. `size` must be the variable's. Of static
 * variables of one name the first is meant, of a static and a global one the global.
 */
int alveary_object_set_variable(alveary_object *object, const char *name, const void *value, size_t size,
				alveary_error **error);

/* Sets how many entries a map has. */
int alveary_object_set_max_entries(alveary_object *object, const char *map, uint32_t max_entries, alveary_error **error);

void alveary_object_free(alveary_object *object);

/* How an object is loaded. All zero: every program, each of the type that its section says. */
typedef struct alveary_load_options {
	const char *const *programs; /* the programs to load, by name; NULL: all */
	size_t program_count;
	const char *type; /* the type of programs whose section name does not say it: "xdp", "sched_cls", "memory" */
} alveary_load_options;

/* Makes and fills the object's maps and loads its programs. Options may be NULL. The object may be loaded again. */
alveary_loaded *alveary_load(const alveary_object *object, const alveary_target *target,
			     const alveary_load_options *options, alveary_error **error);

void alveary_loaded_free(alveary_loaded *loaded);

/* Reads what a global variable holds now. `size` must be the variable's; which one a name means, see above. */
int alveary_variable(const alveary_loaded *loaded, const char *name, void *value, size_t size, alveary_error **error);

/* ---- Programs -------------------------------------------------------------------------------------------------- */

const alveary_program *alveary_program_by_name(const alveary_loaded *loaded, const char *name, alveary_error **error);

/* Program `index` in the object's order, from 0 on; NULL behind the last one. */
const alveary_program *alveary_program_at(const alveary_loaded *loaded, size_t index);

/* Its name. Empty for NULL. */
const char *alveary_program_name(const alveary_program *program);

/* NULL if the verifier has proven it and it runs as it is; else why each of its accesses is checked. */
const char *alveary_program_unproven(const alveary_program *program);

/* A packet on its way in. */
typedef struct alveary_packet {
	const void *data; /* from the Ethernet header on; not changed */
	size_t size;
	uint64_t time;	  /* when it came, in ns: a virtual clock is set to it */
	uint32_t ifindex; /* number of the device that it came from; 0: 1, the loopback device */
} alveary_packet;

/* What became of it. */
typedef struct alveary_verdict {
	void *out;	     /* in: where the packet goes as the program left it; NULL: nowhere */
	size_t out_capacity; /* in: bytes there */
	size_t out_size;     /* out: bytes of the packet as the program left it; what exceeds the capacity is not copied */
	uint64_t insns;	     /* out: instructions that were run; those of proven programs are not counted: 0 */
	int32_t code;	     /* out: what the program returned */
	char name[28];	     /* out: its name, "XDP_DROP"; empty if it has none */
} alveary_verdict;

/*
 * Runs a program of type xdp, sched_cls, sched_act or socket_filter over a packet. With NULL as CPU it takes CPU 0 for
 * the time of the call; a CPU of one's own is quicker, and keeps its random numbers' state. Gives 0 or -1.
 */
int alveary_run(const alveary_program *program, alveary_cpu *cpu, const alveary_packet *packet,
		alveary_verdict *verdict, alveary_error **error);

/*
 * Runs a program over `count` packets, one after the other; what does not change between them is done once. Gives how many
 * were run: if that is fewer than `count`, *error is about the packet after them.
 */
size_t alveary_run_batch(const alveary_program *program, alveary_cpu *cpu, const alveary_packet *packets,
			 alveary_verdict *verdicts, size_t count, alveary_error **error);

/* What a run over plain memory gave. */
typedef struct alveary_result {
	uint64_t value; /* r0 */
	uint64_t insns; /* instructions that were run; those of proven programs are not counted: 0 */
} alveary_result;

/*
 * Runs a program of type "memory": r1 is the address of the memory, r2 its size, and the program may read and write
 * those bytes, its stack and its maps' values, nothing else. The memory is used in place; it may be NULL if the size
 * is 0. The CPU is as for alveary_run. Gives 0 or -1.
 */
int alveary_run_memory(const alveary_program *program, alveary_cpu *cpu, void *memory, size_t size,
		       alveary_result *result, alveary_error **error);

/* ---- Maps ------------------------------------------------------------------------------------------------------ */

const alveary_map *alveary_map_by_name(const alveary_loaded *loaded, const char *name, alveary_error **error);

/* Map `index` in the order of the names, from 0 on; NULL behind the last one. */
const alveary_map *alveary_map_at(const alveary_loaded *loaded, size_t index);

/* Its name. Empty for NULL. */
const char *alveary_map_name(const alveary_map *map);

typedef struct alveary_map_info {
	uint32_t type; /* BPF_MAP_TYPE_... of linux/bpf.h */
	uint32_t key_size;
	uint32_t value_size; /* of one value, as programs see it */
	uint32_t max_entries;
	/*
	 * Bytes of an entry as the functions below copy it. For per-CPU maps: the value rounded up to a multiple of 8, once
	 * for each CPU, CPU 0 first. For all others the value's size.
	 */
	size_t entry_size;
} alveary_map_info;

int alveary_map_get_info(const alveary_map *map, alveary_map_info *info, alveary_error **error);

/*
 * `key` has key_size bytes, `entry` entry_size; `key_len` and `entry_len` say what the caller has there and must be just
 * that. Values are copied: other threads may change them meanwhile, as in the kernel.
 */

/* Copies an entry: 1, 0 if there is none, -1. */
int alveary_map_lookup(const alveary_map *map, const void *key, size_t key_len, void *entry, size_t entry_len,
		       alveary_error **error);

/* When an update is wanted. */
enum { ALVEARY_ANY = 0, ALVEARY_NOEXIST = 1, ALVEARY_EXIST = 2 };

/* Writes an entry: 0 or -1. */
int alveary_map_update(const alveary_map *map, const void *key, size_t key_len, const void *entry, size_t entry_len,
		       uint64_t flags, alveary_error **error);

/* Removes an entry: 1, 0 if there was none, -1. */
int alveary_map_delete(const alveary_map *map, const void *key, size_t key_len, alveary_error **error);

/* Writes the key after `key` to `next` (they may be the same), the first one if `key` is NULL or gone: 1, 0 at the end, -1. */
int alveary_map_next_key(const alveary_map *map, const void *key, void *next, size_t key_len, alveary_error **error);

/* Is handed an event that a program sent: on which CPU, and its bytes, valid during the call. */
typedef void (*alveary_event_fn)(void *user, uint32_t cpu, const void *data, size_t size);

/*
 * Hands over the events that programs sent through a perf_event_array or ringbuf since the last call, oldest first. The
 * callback must not use the map. Gives the number of events that were lost in between, or -1.
 */
int64_t alveary_map_events(const alveary_map *map, alveary_event_fn each, void *user, alveary_error **error);

#ifdef __cplusplus
}
#endif

#endif
