//! Each type once: in small, and the kernel's types put together again from pieces.

use alveary_btf::{Btf, Builder, Enumerator, Kind, Member, New, Type, TypeId};
use alveary_isa::Endian;
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    process::Command,
    sync::Arc,
};

fn int(b: &mut Builder) -> TypeId {
    b.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false })
}

fn member(name: &'static str, ty: TypeId) -> Member<'static> {
    Member { name, ty, bit_offset: 0, bits: None }
}

/// What a compilation unit says of a list whose items it may know or not.
fn unit(knows: bool) -> Btf {
    let mut b = Builder::new(Endian::Little);
    let int = int(&mut b);
    let item = match knows {
        true => b.add(&New::Struct { name: "item", size: 8, members: &[member("next", TypeId(4))] }),
        false => b.add(&New::Fwd { name: "item", union: false }),
    };
    let ptr = b.add(&New::Const(int));
    assert_eq!(ptr, TypeId(3));
    let to_item = b.add(&New::Ptr(item));
    b.add(&New::Struct { name: "list", size: 8, members: &[member("first", to_item)] });
    let values = [Enumerator { name: "RED", value: 0 }];
    b.add(&New::Enum { name: "color", size: 4, signed: false, values: if knows { &values } else { &[] } });
    b.finish().unwrap()
}

fn merged(units: &[Btf]) -> Btf {
    let mut all = Builder::new(Endian::Little);
    for unit in units {
        all.append(unit);
    }
    all.finish().unwrap()
}

#[test]
fn units_that_know_more_or_less_become_one() {
    for units in [[unit(true), unit(false), unit(true)], [unit(false), unit(true), unit(false)]] {
        let all = merged(&units);
        let (once, ids) = all.dedup().unwrap();
        assert_eq!(once.count(), units.iter().find(|u| u.count() == 7).unwrap().count());
        assert_eq!(once.find("item", Kind::Fwd), None);
        assert_eq!(once.named("color").count(), 1);
        let Some(Type::Struct(list)) = once.ty(once.find("list", Kind::Struct).unwrap()) else { panic!("no list") };
        let first = list.members().next().unwrap();
        assert_eq!(once.c_name(first.ty), "struct item *");
        for id in all.ids() {
            let (before, after) = (all.ty(id).unwrap(), once.ty(ids[id.0 as usize]).unwrap());
            assert_eq!(before.name(), after.name());
        }
        let (again, same) = once.dedup().unwrap();
        assert_eq!(again.bytes(), once.bytes());
        assert!(same.iter().enumerate().all(|(i, id)| id.0 == i as u32));
    }
}

#[test]
fn types_that_differ_deep_inside_stay_apart() {
    let unit = |size| {
        let mut b = Builder::new(Endian::Little);
        let name = if size == 4 { "int" } else { "long" };
        let number = b.add(&New::Int { name, size, bits: 8 * size as u8, signed: true, char: false, bool: false });
        let ptr = b.add(&New::Ptr(number));
        b.add(&New::Struct { name: "holder", size: 8, members: &[member("to", ptr)] });
        b.finish().unwrap()
    };
    let (once, _) = merged(&[unit(4), unit(8), unit(4)]).dedup().unwrap();
    assert_eq!(once.named("holder").count(), 2);
    assert_eq!(once.count(), 7);
}

#[test]
fn what_the_base_has_is_left_out() {
    let base = Arc::new(unit(true));
    let mut split = Builder::over(base.clone());
    let moved = split.append(&unit(false));
    let own = split.add(&New::Typedef { name: "mine", ty: TypeId(moved + 5) });
    let split = split.finish().unwrap();
    let (once, ids) = split.dedup().unwrap();
    assert_eq!(once.count(), base.count() + 1);
    let Some(Type::Typedef { name: "mine", ty }) = once.ty(ids[own.0 as usize]) else { panic!("no typedef") };
    assert_eq!(ty, base.find("list", Kind::Struct).unwrap());
}

#[test]
fn types_made_to_harm_end() {
    let mut circle = Builder::new(Endian::Little);
    circle.add(&New::Ptr(TypeId(2)));
    circle.add(&New::Const(TypeId(1)));
    assert_eq!(circle.finish().unwrap().dedup().unwrap_err().code.0, "btf-dedup");
    // A long chain, and structs that hold themselves twice over.
    let mut deep = Builder::new(Endian::Little);
    for id in 1..200_000 {
        deep.add(&New::Ptr(TypeId(id + 1)));
    }
    int(&mut deep);
    assert_eq!(deep.finish().unwrap().dedup().unwrap().0.count(), 200_001);
    let mut twice = Builder::new(Endian::Little);
    for id in 1..=60 {
        let next = TypeId(id % 60 + 1);
        twice.add(&New::Struct { name: "s", size: 8, members: &[member("a", next), member("b", next)] });
    }
    let twice = twice.finish().unwrap();
    // All of them are one: each holds two of itself.
    assert!(twice.dedup().is_ok_and(|(once, _)| once.count() <= twice.count()));
}

/// The types of one unit: from these types on, as deep as they go; of what is pointed to and has a unique name, only
/// every second one is known.
fn piece(kernel: &Btf, roots: &[TypeId], unique: &HashSet<&str>) -> Btf {
    let mut ids: HashMap<TypeId, TypeId> = HashMap::new();
    let mut order = Vec::new();
    let mut open: Vec<TypeId> = roots.iter().rev().copied().collect();
    while let Some(id) = open.pop() {
        if id == TypeId::VOID || ids.contains_key(&id) {
            continue;
        }
        order.push(id);
        ids.insert(id, TypeId(order.len() as u32));
        let known = roots.contains(&id) || !unique.contains(kernel.name(id));
        if known || !matches!(kernel.ty(id), Some(Type::Struct(_) | Type::Union(_))) {
            kernel.references(id, |to| open.push(to));
        }
    }
    let mut b = Builder::new(Endian::Little);
    for id in order {
        match kernel.ty(id).unwrap() {
            Type::Struct(t) if !roots.contains(&id) && unique.contains(t.name) => {
                b.add(&New::Fwd { name: t.name, union: false });
            }
            Type::Union(t) if !roots.contains(&id) && unique.contains(t.name) => {
                b.add(&New::Fwd { name: t.name, union: true });
            }
            _ => {
                b.copy(kernel, id, |to| ids.get(&to).copied().unwrap_or_default());
            }
        }
    }
    b.finish().unwrap()
}

/// Pieces of the running kernel's types, and the names that one type alone has.
fn pieces(kernel: &Btf) -> (Vec<Btf>, HashSet<&str>) {
    // Sections with their variables are never made one: they are left out.
    let mut records: HashMap<&str, u32> = HashMap::new();
    for id in kernel.ids() {
        match kernel.ty(id).unwrap() {
            Type::Struct(t) | Type::Union(t) => *records.entry(t.name).or_default() += 1,
            Type::Fwd { name, .. } => *records.entry(name).or_default() += 2,
            _ => {}
        }
    }
    let unique: HashSet<&str> =
        records.iter().filter(|(n, times)| !n.is_empty() && **times == 1).map(|r| *r.0).collect();
    let all: Vec<TypeId> = kernel
        .ids()
        .filter(|id| !matches!(kernel.ty(*id), Some(Type::Var { .. } | Type::DataSec(_))))
        .take(6_000)
        .collect();
    let pieces = all.chunks(300).map(|roots| piece(kernel, roots, &unique)).collect();
    (pieces, unique)
}

/// The running kernel's types.
fn kernel(test: &str) -> Option<Btf> {
    let Ok(bytes) = fs::read("/sys/kernel/btf/vmlinux") else {
        eprintln!("SKIP {test}: the kernel has no BTF");
        return None;
    };
    Some(Btf::read_owned(bytes, None).unwrap())
}

#[test]
fn the_kernels_types_are_put_together_again_from_pieces() {
    let Some(kernel) = kernel("the_kernels_types_are_put_together_again_from_pieces") else { return };
    let (pieces, unique) = pieces(&kernel);
    let merged = merged(&pieces);
    let (once, ids) = merged.dedup().unwrap();
    println!("{} pieces of {} types become {}", pieces.len(), merged.count(), once.count());
    let mut seen = HashSet::new();
    for id in merged.ids() {
        seen.insert(ids[id.0 as usize]);
        assert_eq!(merged.name(id), once.name(ids[id.0 as usize]));
    }
    assert_eq!(seen.len() as u32, once.count() - 1);
    // What is known of each type is what the kernel says of it.
    for name in unique {
        let there =
            once.named(name).filter(|id| matches!(once.ty(*id), Some(Type::Struct(_) | Type::Union(_)))).count();
        assert!(there <= 1, "{name} is there {there} times");
    }
    let (again, _) = once.dedup().unwrap();
    assert!(again.bytes() == once.bytes(), "once more changes nothing");
}

/// Has libbpf make each type of a file once.
const LIBBPF: &str = r#"
#include <bpf/btf.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	struct btf *btf = btf__parse_raw(argv[1]);
	const void *bytes;
	unsigned int size;
	FILE *to;

	if (argc != 3 || !btf || btf__dedup(btf, NULL))
		return 1;
	bytes = btf__raw_data(btf, &size);
	to = fopen(argv[2], "w");
	return !to || fwrite(bytes, 1, size, to) != size || fclose(to);
}
"#;

/// The same types, whatever the order of their strings was.
fn with_strings_in_order(btf: &Btf) -> Vec<u8> {
    let mut b = Builder::new(btf.endian());
    for id in btf.ids() {
        b.copy(btf, id, |to| to);
    }
    b.finish().unwrap().bytes().to_vec()
}

#[test]
fn libbpf_makes_the_same_of_the_kernels_pieces() {
    const TEST: &str = "libbpf_makes_the_same_of_the_kernels_pieces";
    let Some(kernel) = kernel(TEST) else { return };
    let at = |name: &str| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(at("dedup.c"), LIBBPF).unwrap();
    let compiled = Command::new("cc").arg(at("dedup.c")).args(["-lbpf", "-o"]).arg(at("dedup")).output();
    if !compiled.is_ok_and(|done| done.status.success()) {
        eprintln!("SKIP {TEST}: needs gcc and libbpf-dev");
        return;
    }
    let merged = merged(&pieces(&kernel).0);
    fs::write(at("merged.btf"), merged.bytes()).unwrap();
    let done = Command::new(at("dedup")).args([at("merged.btf"), at("once.btf")]).status().unwrap();
    assert!(done.success(), "libbpf refuses the types");
    let theirs = Btf::read_owned(fs::read(at("once.btf")).unwrap(), None).unwrap();
    let (ours, _) = merged.dedup().unwrap();
    println!("{} types become {}", merged.count(), ours.count());
    assert_eq!(ours.count(), theirs.count());
    assert!(with_strings_in_order(&ours) == with_strings_in_order(&theirs), "the same types in the same order");
}
