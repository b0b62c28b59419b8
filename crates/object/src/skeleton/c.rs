//! The C header. It has the functions, types and members that users of libbpf know from bpftool's; the text is our own.

use super::{Map, Skeleton, bytes, variables};
use alveary_btf::Btf;
use alveary_diag::Diagnostic;
use std::fmt::Write;

/// What stands in front. `$NAME` is the skeleton's name, `$GUARD` the same in capitals.
const TOP: &str = "\
/* Made by `alveary gen skeleton`: make it anew rather than change it. */
#ifndef __$GUARD_SKEL_H__
#define __$GUARD_SKEL_H__

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

";

const METHODS: &str = "
#ifdef __cplusplus
	static inline struct $NAME *open(const struct bpf_object_open_opts *opts = nullptr);
	static inline struct $NAME *open_and_load();
	static inline int load(struct $NAME *skel);
	static inline int attach(struct $NAME *skel);
	static inline void detach(struct $NAME *skel);
	static inline void destroy(struct $NAME *skel);
	static inline const void *elf_bytes(size_t *sz);
#endif
};

static inline const void *$NAME__elf_bytes(size_t *sz);
static inline int $NAME__create_skeleton(struct $NAME *skel);

";

const FUNCTIONS: &str = "
static inline void $NAME__destroy(struct $NAME *skel)
{
	if (skel) {
$UNREGISTER		if (skel->skeleton)
			bpf_object__destroy_skeleton(skel->skeleton);
		free(skel);
	}
}

static inline struct $NAME *$NAME__open_opts(const struct bpf_object_open_opts *opts)
{
	struct $NAME *skel = (struct $NAME *)calloc(1, sizeof(*skel));
	int err = -ENOMEM;

	if (skel)
		err = $NAME__create_skeleton(skel);
	if (!err)
		err = bpf_object__open_skeleton(skel->skeleton, opts);
	if (!err)
		return skel;
	$NAME__destroy(skel);
	errno = -err;
	return NULL;
}

static inline struct $NAME *$NAME__open(void)
{
	return $NAME__open_opts(NULL);
}

static inline int $NAME__load(struct $NAME *skel)
{
	return bpf_object__load_skeleton(skel->skeleton);
}

static inline struct $NAME *$NAME__open_and_load(void)
{
	struct $NAME *skel = $NAME__open();
	int err = skel ? $NAME__load(skel) : 0;

	if (!err)
		return skel;
	$NAME__destroy(skel);
	errno = -err;
	return NULL;
}

static inline int $NAME__attach(struct $NAME *skel)
{
$ATTACH}

static inline void $NAME__detach(struct $NAME *skel)
{
$UNREGISTER	bpf_object__detach_skeleton(skel->skeleton);
}

";

/// What attaches, if there are no kernel interfaces.
const ATTACH: &str = "\treturn bpf_object__attach_skeleton(skel->skeleton);\n";

/// What attaches, if there are some. `$REGISTER` registers each.
const ATTACH_ALL: &str = "\
	int err = bpf_object__attach_skeleton(skel->skeleton);

$REGISTER	return err;
";

/// Condition of a part for libbpf since 1.5, which registers kernel interfaces itself, and of one for those before.
const BY_LIBBPF: &str = "#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 5\n";
const BY_HAND: &str = "#if LIBBPF_MAJOR_VERSION == 1 && LIBBPF_MINOR_VERSION < 5\n";

const BOTTOM: &str = "
#ifdef __cplusplus
struct $NAME *$NAME::open(const struct bpf_object_open_opts *opts) { return $NAME__open_opts(opts); }
struct $NAME *$NAME::open_and_load() { return $NAME__open_and_load(); }
int $NAME::load(struct $NAME *skel) { return $NAME__load(skel); }
int $NAME::attach(struct $NAME *skel) { return $NAME__attach(skel); }
void $NAME::detach(struct $NAME *skel) { $NAME__detach(skel); }
void $NAME::destroy(struct $NAME *skel) { $NAME__destroy(skel); }
const void *$NAME::elf_bytes(size_t *sz) { return $NAME__elf_bytes(sz); }
#endif

";

pub(super) fn write(skeleton: &Skeleton<'_>) -> Result<String, Diagnostic> {
    let name = skeleton.ident();
    let put = |text: &str| text.replace("$NAME", &name).replace("$GUARD", &name.to_uppercase());
    let maps = skeleton.maps();
    let programs: Vec<_> = skeleton.programs().into_iter().map(|p| super::ident(&p.name)).collect();
    let mut out = put(TOP);
    writeln!(out, "struct {name} {{\n\tstruct bpf_object_skeleton *skeleton;\n\tstruct bpf_object *obj;").ok();
    members(&mut out, "maps", "bpf_map", maps.iter().map(Map::ident));
    members(&mut out, "progs", "bpf_program", programs.iter().cloned());
    let interfaces: Vec<_> = maps.iter().filter(|map| map.is_interface()).map(Map::ident).collect();
    let links: Vec<_> = programs.iter().chain(&interfaces).cloned().collect();
    members(&mut out, "links", "bpf_link", links.into_iter());
    let mut asserts = String::new();
    if let Some(btf) = skeleton.spec.btf.as_deref() {
        for map in &maps {
            section(btf, &name, map, &mut out, &mut asserts)?;
        }
    }
    out.push_str(&put(METHODS));
    create(skeleton, &name, &maps, &programs, &mut out);
    out.push_str(&put(&functions(&interfaces)));
    writeln!(out, "static inline const void *{name}__elf_bytes(size_t *sz)\n{{").ok();
    writeln!(out, "\t*sz = {};\n\treturn (const void *)\"\\", skeleton.bytes.len()).ok();
    writeln!(out, "{}\";\n}}", bytes::lines(skeleton.bytes)).ok();
    out.push_str(&put(BOTTOM));
    if !asserts.is_empty() {
        writeln!(out, "#ifdef __cplusplus\n#define {name}__check static_assert\n#else").ok();
        writeln!(out, "#define {name}__check _Static_assert\n#endif").ok();
        writeln!(out, "{asserts}#undef {name}__check\n").ok();
    }
    out.push_str(&put("#endif /* __$GUARD_SKEL_H__ */\n"));
    Ok(out)
}

/// The functions, those that register kernel interfaces filled in.
fn functions(interfaces: &[String]) -> String {
    if interfaces.is_empty() {
        return FUNCTIONS.replace("$ATTACH", ATTACH).replace("$UNREGISTER", "");
    }
    let (mut register, mut unregister) = (BY_HAND.to_owned(), BY_HAND.to_owned());
    for name in interfaces {
        let (link, map) = (format!("skel->links.{name}"), format!("skel->maps.{name}"));
        writeln!(register, "\tif (!err && !{link})\n\t\t{link} = bpf_map__attach_struct_ops({map});").ok();
        writeln!(register, "\tif (!err && !{link})\n\t\terr = -errno;").ok();
        writeln!(unregister, "\tbpf_link__destroy({link});\n\t{link} = NULL;").ok();
    }
    register.push_str("#endif\n");
    unregister.push_str("#endif\n");
    let attach = ATTACH_ALL.replace("$REGISTER", &register);
    FUNCTIONS.replace("$ATTACH", &attach).replace("$UNREGISTER", &unregister)
}

/// A struct of pointers, if there is something to point to.
pub(super) fn members(out: &mut String, what: &str, ty: &str, names: impl ExactSizeIterator<Item = String>) {
    if names.len() == 0 {
        return;
    }
    writeln!(out, "\tstruct {{").ok();
    for name in names {
        writeln!(out, "\t\tstruct {ty} *{name};").ok();
    }
    writeln!(out, "\t}} {what};").ok();
}

/// The variables of a data section, where they are in memory, and what the compiler has to confirm of them.
fn section(btf: &Btf, name: &str, map: &Map<'_>, out: &mut String, asserts: &mut String) -> Result<(), Diagnostic> {
    let Some(section) = map.data else { return Ok(()) };
    let ident = map.ident();
    let tag = format!("{name}__{ident}");
    let variables = variables(btf, section);
    writeln!(out, "\tstruct {tag} {{").ok();
    let (mut end, mut pads) = (0u32, 0);
    for variable in variables {
        if let Some(gap) = variable.offset.checked_sub(end).filter(|gap| *gap > 0) {
            writeln!(out, "\t\tchar __pad{pads}[{gap}];").ok();
            pads += 1;
        }
        writeln!(out, "\t\t{};", btf.c_declaration(variable.ty, variable.name, 2)?).ok();
        end = variable.offset.saturating_add(variable.size);
        let (data, member) = (format!("((struct {name} *)0)->{ident}"), variable.name);
        writeln!(asserts, "{name}__check(sizeof({data}->{member}) == {}, \"size of {member}\");", variable.size).ok();
        let place = format!("__builtin_offsetof(__typeof__(*{data}), {member})");
        writeln!(asserts, "{name}__check({place} == {}, \"place of {member}\");", variable.offset).ok();
    }
    writeln!(out, "\t}} *{ident};").ok();
    Ok(())
}

/// The function that tells libbpf where the members are.
fn create(skeleton: &Skeleton<'_>, name: &str, maps: &[Map<'_>], programs: &[String], out: &mut String) {
    writeln!(out, "static inline int {name}__create_skeleton(struct {name} *skel)\n{{").ok();
    writeln!(out, "\tstruct bpf_object_skeleton *s = (struct bpf_object_skeleton *)calloc(1, sizeof(*s));\n").ok();
    writeln!(out, "\tif (!s)\n\t\treturn -ENOMEM;").ok();
    // From here on destroying the skeleton frees what is there.
    writeln!(out, "\tskel->skeleton = s;\n\ts->sz = sizeof(*s);\n\ts->name = \"{name}\";\n\ts->obj = &skel->obj;").ok();
    writeln!(out, "\ts->data = (void *){name}__elf_bytes(&s->data_sz);").ok();
    array(out, "map", maps.len());
    for (i, map) in maps.iter().enumerate() {
        let ident = map.ident();
        writeln!(out, "\ts->maps[{i}].name = \"{}\";\n\ts->maps[{i}].map = &skel->maps.{ident};", map.spec.name).ok();
        if map.data.is_some() {
            writeln!(out, "\ts->maps[{i}].mmaped = (void **)&skel->{ident};").ok();
        }
        if map.is_interface() {
            writeln!(out, "{BY_LIBBPF}\ts->maps[{i}].link = &skel->links.{ident};\n#endif").ok();
        }
    }
    array(out, "prog", programs.len());
    for (i, (program, spec)) in programs.iter().zip(skeleton.programs()).enumerate() {
        writeln!(out, "\ts->progs[{i}].name = \"{}\";\n\ts->progs[{i}].prog = &skel->progs.{program};", spec.name).ok();
        writeln!(out, "\ts->progs[{i}].link = &skel->links.{program};").ok();
    }
    writeln!(out, "\treturn 0;\n}}").ok();
}

/// Takes memory for descriptions of maps or programs.
pub(super) fn array(out: &mut String, what: &str, count: usize) {
    if count == 0 {
        return;
    }
    // The count last: nobody shall look for what there was no memory for.
    writeln!(out, "\n\ts->{what}s = (struct bpf_{what}_skeleton *)calloc({count}, sizeof(*s->{what}s));").ok();
    writeln!(out, "\tif (!s->{what}s)\n\t\treturn -ENOMEM;").ok();
    writeln!(out, "\ts->{what}_cnt = {count};\n\ts->{what}_skel_sz = sizeof(*s->{what}s);").ok();
}
