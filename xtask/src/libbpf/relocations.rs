//! An object with many CO-RE relocations, made from the kernel's own types, and how long it takes to resolve it: here
//! and by libbpf, in one run.

use std::{fmt::Write, fs, path::Path, process::Stdio};

use alveary_btf::{Btf, Composite, Type};

use crate::{
    Outcome,
    process::{cargo, command, exists, output, run, target},
};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const CLANG: &str = "clang-19";
const RELOCATIONS: usize = 500;
/// Most that one type is asked for, and that a type of the kernel has to have to be among them.
const OF_ONE_TYPE: usize = 20;
const TIMES: &str = "21";

/// Makes the object and takes the times.
pub(crate) fn measure() -> Outcome {
    if !Path::new(VMLINUX).exists() || !exists(CLANG) || !Path::new("/usr/include/bpf/libbpf.h").exists() {
        println!("SKIP: resolving relocations needs {VMLINUX}, {CLANG} and libbpf-dev");
        return Ok(());
    }
    let [source, object] = ["relocations.bpf.c", "relocations.bpf.o"].map(|name| target().join(name));
    let bytes = fs::read(VMLINUX).map_err(|error| format!("{VMLINUX}: {error}"))?;
    let types = Btf::read(&bytes, None).map_err(|error| error.to_string())?;
    fs::write(&source, program(&types)).map_err(|error| format!("{}: {error}", source.display()))?;
    let compile = command(CLANG, &["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-c"]);
    run({ compile }.arg(&source).arg("-o").arg(&object))?;
    let object = object.to_str().ok_or("the target folder's path is not UTF-8")?;

    let words = ["run", "--release", "--quiet", "--package", "alveary-object", "--example", "resolve_time", "--"];
    let text = output(cargo(&words).args([object, VMLINUX]))?;
    print!("{text}");
    let ours = |what: &str| {
        let line = text.lines().find(|line| line.starts_with(what)).unwrap_or_default();
        line.trim_end_matches(" ms").rsplit(' ').next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let oracle = super::oracle()?;
    let oracle = oracle.to_str().unwrap_or_default();
    let text = output(command(oracle, &["--time", TIMES, object, VMLINUX]).stdin(Stdio::null()))?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse::<f64>().ok()).map(|us| us / 1e3).collect();
    let [reading, resolving] = numbers[..] else { return Err(format!("libbpf's times are `{}`", text.trim())) };
    println!("libbpf: types read {reading:.2} ms, relocations {resolving:.2} ms");
    let (own, all) = (ours("kernel's types read") + ours("object resolved, types new"), reading + resolving);
    println!("types and {RELOCATIONS} relocations: {own:.2} ms, libbpf {all:.2} ms, {:.2} of its time", own / all);
    Ok(())
}

/// A program for each of the kernel's types that have many plain members, reading them, until there are enough
/// relocations.
fn program(types: &Btf) -> String {
    let mut text = String::from(
        "/* SPDX-License-Identifier: MIT OR Apache-2.0. Made by `cargo xtask bench`. */\n\
         #define SEC(name) __attribute__((section(name), used))\n\
         char _license[] SEC(\"license\") = \"Dual MIT/GPL\";\n",
    );
    let mut left = RELOCATIONS;
    for id in types.ids() {
        let Some(Type::Struct(record)) = types.ty(id) else { continue };
        let plain = plain(types, record);
        // An instruction holds no larger offset.
        if left == 0
            || record.size > i16::MAX as u32
            || record.name.is_empty()
            || plain.len() < OF_ONE_TYPE
            || types.flavours(record.name).count() != 1
        {
            continue;
        }
        let name = record.name;
        let some = &plain[..OF_ONE_TYPE.min(left)];
        left -= some.len();
        let members = some.iter().fold(String::new(), |all, (member, ty)| format!("{all} {ty} {member};"));
        let reads = some.iter().fold(String::new(), |all, (member, _)| format!("{all} sum += (long)t->{member};"));
        writeln!(text, "struct {name} {{{members} }} __attribute__((preserve_access_index));").ok();
        writeln!(
            text,
            "SEC(\"raw_tp/x\") int of_{name}(struct {name} *t) {{ volatile long sum = 0;{reads} return sum; }}"
        )
        .ok();
    }
    text
}

/// The members of a struct that are numbers or pointers, with a type of C that is of their kind and size. The last ones
/// first, so that no offset is right as it is.
fn plain<'t>(types: &'t Btf, record: Composite<'t>) -> Vec<(&'t str, &'static str)> {
    let of_c = |ty| match types.resolved(ty) {
        Type::Ptr(_) => Some("void *"),
        Type::Int(int) => {
            [(1, "char"), (2, "short"), (4, "int"), (8, "long")].into_iter().find(|c| c.0 == int.size).map(|c| c.1)
        }
        _ => None,
    };
    let word = |name: &str| !["", "class", "private", "new", "delete", "this", "namespace", "template"].contains(&name);
    let members = record.members().filter(|member| member.bits.is_none() && word(member.name));
    let mut found: Vec<_> = members.filter_map(|member| Some((member.name, of_c(member.ty)?))).collect();
    found.reverse();
    found
}
