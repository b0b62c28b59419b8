// SPDX-License-Identifier: MIT OR Apache-2.0 OR GPL-2.0-only
/* A module of Linux 6.9 or later with a kernel interface: a number that is written to its parameter `ask` goes to
 * whatever is registered, and what that says is read there. Built against the kernel's headers, with pahole for its types:
 *	make -C /lib/modules/$(uname -r)/build M=$PWD alveary_ops.ko
 */
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/module.h>

struct alveary_ops {
	int (*ask)(int n);
	int (*refuse)(void);
	int number;
};

static struct alveary_ops *registered;
static int told = -1;

static int set(const char *text, const struct kernel_param *parameter)
{
	int n;

	if (kstrtoint(text, 10, &n))
		return -EINVAL;
	told = registered ? registered->ask(n) + registered->number : -1;
	return 0;
}

static const struct kernel_param_ops asking = { .set = set, .get = param_get_int };
module_param_cb(ask, &asking, &told, 0600);

static int init(struct btf *btf)
{
	return 0;
}

static int init_member(const struct btf_type *type, const struct btf_member *member, void *to, const void *from)
{
	if (__btf_member_bit_offset(type, member) != 8 * offsetof(struct alveary_ops, number))
		return 0;
	((struct alveary_ops *)to)->number = ((const struct alveary_ops *)from)->number;
	return 1;
}

static int validate(void *ops)
{
	return ((struct alveary_ops *)ops)->ask ? 0 : -EINVAL;
}

static int reg(void *ops, struct bpf_link *link)
{
	return cmpxchg(&registered, NULL, ops) ? -EEXIST : 0;
}

static void unreg(void *ops, struct bpf_link *link)
{
	registered = NULL;
}

static bool may_access(int off, int size, enum bpf_access_type type, const struct bpf_prog *prog,
		       struct bpf_insn_access_aux *info)
{
	return type == BPF_READ && size == sizeof(u64) && off >= 0 && off < 5 * sizeof(u64) && !(off % sizeof(u64));
}

static const struct bpf_verifier_ops rules = { .get_func_proto = bpf_base_func_proto, .is_valid_access = may_access };

static int ask(int n)
{
	return 0;
}

static int refuse(void)
{
	return 0;
}

static struct alveary_ops stubs = { .ask = ask, .refuse = refuse };

static struct bpf_struct_ops interface = {
	.verifier_ops = &rules,
	.init = init,
	.init_member = init_member,
	.validate = validate,
	.reg = reg,
	.unreg = unreg,
	.cfi_stubs = &stubs,
	.name = "alveary_ops",
	.owner = THIS_MODULE,
};

static int __init start(void)
{
	return register_bpf_struct_ops(&interface, alveary_ops);
}

static void __exit end(void)
{
}

module_init(start);
module_exit(end);
MODULE_DESCRIPTION("A kernel interface for tests");
MODULE_LICENSE("Dual MIT/GPL");
