//! The C header of a subskeleton: what a library sees of the object that it was linked into.

use super::{Map, Skeleton, c, variables};
use alveary_diag::{Diagnostic, Place};
use std::fmt::Write;

/// What stands in front. `$NAME` is the skeleton's name, `$GUARD` the same in capitals.
const TOP: &str = "\
/* Made by `alveary gen subskeleton`: make it anew rather than change it. */
#ifndef __$GUARD_SUBSKEL_H__
#define __$GUARD_SUBSKEL_H__

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

struct $NAME {
	struct bpf_object *obj;
	struct bpf_object_subskeleton *subskel;
";

const METHODS: &str = "
#ifdef __cplusplus
	static inline struct $NAME *open(const struct bpf_object *src);
	static inline void destroy(struct $NAME *skel);
#endif
};

static inline void $NAME__destroy(struct $NAME *skel)
{
	if (skel) {
		if (skel->subskel)
			bpf_object__destroy_subskeleton(skel->subskel);
		free(skel);
	}
}

static inline int $NAME__create_subskeleton(struct $NAME *skel, const struct bpf_object *src)
{
	struct bpf_object_subskeleton *s = (struct bpf_object_subskeleton *)calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	skel->subskel = s;
	s->sz = sizeof(*s);
	s->obj = src;
";

const BOTTOM: &str = "	return bpf_object__open_subskeleton(s);
}

static inline struct $NAME *$NAME__open(const struct bpf_object *src)
{
	struct $NAME *skel = (struct $NAME *)calloc(1, sizeof(*skel));
	int err = skel ? $NAME__create_subskeleton(skel, src) : -ENOMEM;

	if (!err)
		return skel;
	$NAME__destroy(skel);
	errno = -err;
	return NULL;
}

#ifdef __cplusplus
struct $NAME *$NAME::open(const struct bpf_object *src) { return $NAME__open(src); }
void $NAME::destroy(struct $NAME *skel) { $NAME__destroy(skel); }
#endif

#endif /* __$GUARD_SUBSKEL_H__ */
";

pub(super) fn write(skeleton: &Skeleton<'_>) -> Result<String, Diagnostic> {
    let name = skeleton.ident();
    let put = |text: &str| text.replace("$NAME", &name).replace("$GUARD", &name.to_uppercase());
    let Some(btf) = skeleton.spec.btf.as_deref() else {
        return Err(Diagnostic::new("btf-none", "a subskeleton needs the object's types", Place::Nowhere)
            .help("compile the object with `-g`, or with gcc's `-gbtf`"));
    };
    let maps = skeleton.maps();
    let programs = skeleton.programs();
    let mut out = put(TOP);
    c::members(&mut out, "maps", "bpf_map", maps.iter().map(Map::ident));
    c::members(&mut out, "progs", "bpf_program", programs.iter().map(|p| super::ident(&p.name)));
    let mut places = Vec::new();
    for map in &maps {
        let variables = map.data.map(|section| variables(btf, section)).unwrap_or_default();
        if variables.is_empty() {
            continue;
        }
        let ident = map.ident();
        writeln!(out, "\tstruct {name}__{ident} {{").ok();
        for variable in variables {
            // A pointer to whatever it is: the declarator of arrays and functions is not needed.
            let ty = btf.c_declaration(variable.ty, "", 2)?;
            writeln!(out, "\t\t__typeof__({ty}) *{};", variable.name).ok();
            places.push((variable.name, ident.clone()));
        }
        writeln!(out, "\t}} {ident};").ok();
    }
    out.push_str(&put(METHODS));
    c::array(&mut out, "var", places.len());
    for (i, (variable, map)) in places.iter().enumerate() {
        writeln!(out, "\ts->vars[{i}].name = \"{variable}\";\n\ts->vars[{i}].map = &skel->maps.{map};").ok();
        writeln!(out, "\ts->vars[{i}].addr = (void **)&skel->{map}.{variable};").ok();
    }
    c::array(&mut out, "map", maps.len());
    for (i, map) in maps.iter().enumerate() {
        writeln!(out, "\ts->maps[{i}].name = \"{}\";", map.spec.name).ok();
        writeln!(out, "\ts->maps[{i}].map = &skel->maps.{};", map.ident()).ok();
    }
    c::array(&mut out, "prog", programs.len());
    for (i, program) in programs.iter().enumerate() {
        writeln!(out, "\ts->progs[{i}].name = \"{}\";", program.name).ok();
        writeln!(out, "\ts->progs[{i}].prog = &skel->progs.{};", super::ident(&program.name)).ok();
    }
    out.push_str(&put(BOTTOM));
    Ok(out)
}
