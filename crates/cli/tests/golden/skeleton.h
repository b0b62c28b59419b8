/* Made by `alveary gen skeleton`: make it anew rather than change it. */
#ifndef __GLOBALS_SKEL_H__
#define __GLOBALS_SKEL_H__

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

struct globals {
	struct bpf_object_skeleton *skeleton;
	struct bpf_object *obj;
	struct {
		struct bpf_map *lengths;
		struct bpf_map *total;
		struct bpf_map *bss;
		struct bpf_map *data;
		struct bpf_map *rodata;
	} maps;
	struct {
		struct bpf_program *measure;
		struct bpf_program *optional;
	} progs;
	struct {
		struct bpf_link *measure;
		struct bpf_link *optional;
	} links;
	struct globals__bss {
		char __pad0[4];
		struct {
			__u32 packets;
			union {
				__u32 word;
				unsigned char bytes[4];
			};
		} seen;
	} *bss;
	struct globals__data {
		__u64 threshold;
	} *data;
	struct globals__rodata {
		struct limit limits[2];
		enum mode mode;
	} *rodata;

#ifdef __cplusplus
	static inline struct globals *open(const struct bpf_object_open_opts *opts = nullptr);
	static inline struct globals *open_and_load();
	static inline int load(struct globals *skel);
	static inline int attach(struct globals *skel);
	static inline void detach(struct globals *skel);
	static inline void destroy(struct globals *skel);
	static inline const void *elf_bytes(size_t *sz);
#endif
};

static inline const void *globals__elf_bytes(size_t *sz);
static inline int globals__create_skeleton(struct globals *skel);

static inline int globals__create_skeleton(struct globals *skel)
{
	struct bpf_object_skeleton *s = (struct bpf_object_skeleton *)calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	skel->skeleton = s;
	s->sz = sizeof(*s);
	s->name = "globals";
	s->obj = &skel->obj;
	s->data = (void *)globals__elf_bytes(&s->data_sz);

	s->maps = (struct bpf_map_skeleton *)calloc(5, sizeof(*s->maps));
	if (!s->maps)
		return -ENOMEM;
	s->map_cnt = 5;
	s->map_skel_sz = sizeof(*s->maps);
	s->maps[0].name = "lengths";
	s->maps[0].map = &skel->maps.lengths;
	s->maps[1].name = "total";
	s->maps[1].map = &skel->maps.total;
	s->maps[2].name = ".bss";
	s->maps[2].map = &skel->maps.bss;
	s->maps[2].mmaped = (void **)&skel->bss;
	s->maps[3].name = ".data";
	s->maps[3].map = &skel->maps.data;
	s->maps[3].mmaped = (void **)&skel->data;
	s->maps[4].name = ".rodata";
	s->maps[4].map = &skel->maps.rodata;
	s->maps[4].mmaped = (void **)&skel->rodata;

	s->progs = (struct bpf_prog_skeleton *)calloc(2, sizeof(*s->progs));
	if (!s->progs)
		return -ENOMEM;
	s->prog_cnt = 2;
	s->prog_skel_sz = sizeof(*s->progs);
	s->progs[0].name = "measure";
	s->progs[0].prog = &skel->progs.measure;
	s->progs[0].link = &skel->links.measure;
	s->progs[1].name = "optional";
	s->progs[1].prog = &skel->progs.optional;
	s->progs[1].link = &skel->links.optional;
	return 0;
}

static inline void globals__destroy(struct globals *skel)
{
	if (skel) {
		if (skel->skeleton)
			bpf_object__destroy_skeleton(skel->skeleton);
		free(skel);
	}
}

static inline struct globals *globals__open_opts(const struct bpf_object_open_opts *opts)
{
	struct globals *skel = (struct globals *)calloc(1, sizeof(*skel));
	int err = -ENOMEM;

	if (skel)
		err = globals__create_skeleton(skel);
	if (!err)
		err = bpf_object__open_skeleton(skel->skeleton, opts);
	if (!err)
		return skel;
	globals__destroy(skel);
	errno = -err;
	return NULL;
}

static inline struct globals *globals__open(void)
{
	return globals__open_opts(NULL);
}

static inline int globals__load(struct globals *skel)
{
	return bpf_object__load_skeleton(skel->skeleton);
}

static inline struct globals *globals__open_and_load(void)
{
	struct globals *skel = globals__open();
	int err = skel ? globals__load(skel) : 0;

	if (!err)
		return skel;
	globals__destroy(skel);
	errno = -err;
	return NULL;
}

static inline int globals__attach(struct globals *skel)
{
	return bpf_object__attach_skeleton(skel->skeleton);
}

static inline void globals__detach(struct globals *skel)
{
	bpf_object__detach_skeleton(skel->skeleton);
}

static inline const void *globals__elf_bytes(size_t *sz)
{
	*sz = 5280;
	return (const void *)"\
