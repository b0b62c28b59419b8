//! What holds for every set of types, also for those that no compiler makes: sets of all kinds with any references, in
//! either byte order, written here word by word.

use alveary_btf::{Btf, Builder, Ext, Kind, Snippet, TypeId};
use alveary_isa::Endian;
use proptest::prelude::*;
use std::sync::Arc;

/// Names that types and their parts have; the first is none.
const NAMES: [&str; 8] = ["", "int", "s", "t", "list", "next", "a name of nobody", "ünï"];
/// Sizes that are usual, and some that are not.
const SIZES: [u32; 8] = [4, 1, 8, 2, 16, 0, 3, u32::MAX];
/// Kinds whose third word is the id of a type.
const REFER: [u32; 11] = [2, 8, 9, 10, 11, 12, 13, 14, 17, 18, 0];

/// A type: its kind, and what its words are made from.
#[derive(Clone, Debug)]
struct Recipe {
    kind: u32,
    flag: bool,
    name: u32,
    third: u32,
    parts: Vec<[u32; 3]>,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let number = || prop_oneof![4 => 0..24u32, 1 => any::<u32>()];
    let parts = prop::collection::vec([number(), number(), number()], 0..5);
    (1..=19u32, any::<bool>(), number(), number(), parts).prop_map(|(kind, flag, name, third, parts)| Recipe {
        kind,
        flag,
        name,
        third,
        parts,
    })
}

fn recipes() -> impl Strategy<Value = Vec<Recipe>> {
    prop::collection::vec(recipe(), 0..24)
}

/// The string section of [`NAMES`], and where a name stands in it.
fn strings() -> (Vec<u8>, impl Fn(u32) -> u32) {
    let bytes = NAMES.iter().flat_map(|name| name.bytes().chain([0])).collect();
    let at = |n: u32| NAMES.iter().take(n as usize % NAMES.len()).map(|name| name.len() as u32 + 1).sum();
    (bytes, at)
}

/// The words of a type in a set of `count` types, `void` counted.
fn words(recipe: &Recipe, count: u32) -> Vec<u32> {
    let (_, name) = strings();
    let Recipe { kind, flag, third, ref parts, .. } = *recipe;
    let (to, size) = (|n: u32| n % count, |n: u32| SIZES[n as usize % SIZES.len()]);
    let part = |&[a, b, c]: &[u32; 3]| match kind {
        4 | 5 => vec![name(a), to(b), c],
        6 => vec![name(a), b],
        13 => vec![name(a), to(b)],
        15 => vec![to(a), b, c],
        19 => vec![name(a), b, c],
        _ => vec![],
    };
    let [a, b, c] = parts.first().copied().unwrap_or_default();
    let fixed = match kind {
        1 | 14 | 17 => vec![a],
        3 => vec![to(a), to(b), c],
        _ => vec![],
    };
    let tail: Vec<u32> = fixed.into_iter().chain(parts.iter().flat_map(part)).collect();
    let third = if REFER.contains(&kind) { to(third) } else { size(third) };
    [vec![name(recipe.name), kind << 24 | u32::from(flag) << 31 | parts.len() as u32, third], tail].concat()
}

fn bytes(recipes: &[Recipe], endian: Endian) -> Vec<u8> {
    let count = recipes.len() as u32 + 1;
    let words: Vec<u32> = recipes.iter().flat_map(|recipe| words(recipe, count)).collect();
    let strings = strings().0;
    raw(&words, strings.len() as u32, &strings, endian)
}

/// A set of types with these words, whose strings are said to have so many bytes.
fn raw(types: &[u32], strings_len: u32, strings: &[u8], endian: Endian) -> Vec<u8> {
    let len = 4 * types.len() as u32;
    let header = [24, 0, len, len, strings_len];
    let word = |n: u32| if endian == Endian::Little { n.to_le_bytes() } else { n.to_be_bytes() };
    let magic: [u8; 2] = if endian == Endian::Little { [0x9f, 0xeb] } else { [0xeb, 0x9f] };
    let words = header.iter().chain(types).flat_map(|n| word(*n));
    magic.into_iter().chain([1, 0]).chain(words).chain(strings.iter().copied()).collect()
}

fn set(recipes: &[Recipe]) -> Btf {
    Btf::read_owned(bytes(recipes, Endian::Little), None).unwrap()
}

/// A type in words, references as names in C terms: what it is wherever it stands.
fn said(btf: &Btf, id: TypeId) -> String {
    let mut to = Vec::new();
    btf.references(id, |id| to.push(btf.c_name(id)));
    format!("{:?} {} {:?} {to:?}", btf.ty(id).unwrap().kind(), btf.name(id), btf.size_of(id))
}

/// Everything that can be asked of a set; each question has to end.
fn ask(btf: &Btf) {
    let _ = btf.to_c((1..btf.count()).map(TypeId));
    let _ = btf.to_c_whole(btf.sorted());
    let _ = btf.to_rust(btf.ids());
    let _ = btf.dedup();
    let _ = btf.diff(btf, None);
    for id in (0..btf.count()).map(TypeId) {
        let value = btf.value(id, &[0x81; 24]);
        let _ = (value.to_string(), format!("{value:#}"), btf.c_name(id), btf.size_of(id), btf.resolve(id));
        let _ = btf.c_declaration(id, "name", 0);
        for text in ["1", "{}", "[1, {a: 2}]"] {
            if let Ok(bytes) = btf.parse_value(id, &Snippet::whole("test", text)) {
                assert_eq!(Some(bytes.len() as u32), btf.size_of(id));
            }
        }
    }
}

/// A set so many times, one behind the other.
fn repeated(one: &Btf, times: usize) -> Btf {
    let mut all = Builder::new(one.endian());
    (0..times).for_each(|_| {
        all.append(one);
    });
    all.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_written_as_it_was(recipes in recipes()) {
        let (little, big) = (bytes(&recipes, Endian::Little), bytes(&recipes, Endian::Big));
        for (endian, bytes) in [(Endian::Little, &little), (Endian::Big, &big)] {
            let btf = Btf::read(bytes, None).unwrap();
            prop_assert_eq!(btf.endian(), endian);
            prop_assert_eq!(btf.count() as usize, recipes.len() + 1);
            prop_assert_eq!(&btf.write(Endian::Little), &little);
            prop_assert_eq!(&btf.write(Endian::Big), &big);
            for (id, recipe) in btf.ids().zip(&recipes) {
                prop_assert_eq!(btf.ty(id).unwrap().kind() as u32, recipe.kind);
            }
        }
    }

    #[test]
    fn every_question_ends(recipes in recipes()) {
        ask(&set(&recipes));
    }

    #[test]
    fn deduplicated_sets_say_the_same(recipes in recipes(), times in 1..4usize) {
        let all = repeated(&set(&recipes), times);
        let Ok((mut once, becomes)) = all.dedup() else { return Ok(()) };
        prop_assert!(once.count() <= all.count());
        for id in all.ids() {
            prop_assert_eq!(all.name(id), once.name(becomes[id.0 as usize]));
        }
        // Types that no language has may become fewer the next time, as with libbpf; that ends too.
        loop {
            let (again, _) = once.dedup().unwrap();
            if again.count() == once.count() {
                prop_assert_eq!(again.bytes(), once.bytes());
                break;
            }
            prop_assert!(again.count() < once.count());
            once = again;
        }
    }

    #[test]
    fn deduplicated_sets_of_types_that_c_has_stay_as_they_are(recipes in recipes(), times in 1..4usize) {
        // Functions, variables, sections and their tags, which no type of a value refers to, are left out.
        let of_values: Vec<Recipe> = recipes.into_iter().filter(|r| ![12, 14, 15, 17].contains(&r.kind)).collect();
        let Ok((once, _)) = repeated(&set(&of_values), times).dedup() else { return Ok(()) };
        let (again, _) = once.dedup().unwrap();
        prop_assert_eq!(again.bytes(), once.bytes());
    }

    #[test]
    fn sets_are_put_together_and_taken_apart_again(first in recipes(), second in recipes()) {
        let (base, other) = (Arc::new(set(&first)), set(&second));
        // Behind each other, in one set.
        let mut merged = Builder::from(&*base);
        let moved = merged.append(&other);
        let merged = merged.finish().unwrap();
        prop_assert_eq!(moved + 1, base.count());
        // As split BTF.
        let mut split = Builder::over(base.clone());
        split.append(&other);
        let split = Btf::read_owned(split.finish().unwrap().bytes().to_vec(), Some(base.clone())).unwrap();
        prop_assert_eq!(split.count(), merged.count());
        for id in other.ids() {
            let there = TypeId(id.0 + moved);
            prop_assert_eq!(said(&merged, there), said(&other, id));
            prop_assert_eq!(said(&split, there), said(&other, id));
        }
        for id in base.ids() {
            prop_assert_eq!(said(&merged, id), said(&base, id));
        }
        // Taken out of the split set again.
        let mut alone = Builder::new(Endian::Little);
        let end = base.count();
        for id in split.ids() {
            alone.copy(&split, id, |to| if to.0 < end { TypeId::VOID } else { TypeId(to.0 - moved) });
        }
        let alone = alone.finish().unwrap();
        prop_assert_eq!(alone.count(), other.count());
        for id in other.ids() {
            prop_assert_eq!(said(&alone, id), said(&other, id));
        }
    }

    #[test]
    fn types_over_a_distilled_base_keep_their_meaning_over_the_whole(
        kinds in prop::collection::vec((0..5usize, 0..8usize), 1..12),
        own in recipes(),
        turn in 0..12usize,
    ) {
        const KINDS: [u32; 5] = [1, 4, 5, 6, 16];
        let texts: String = (0..kinds.len()).map(|i| format!("\0name{i:02}")).collect::<String>() + "\0";
        let ty = |i: usize| {
            let (kind, size) = kinds[i % kinds.len()];
            let name = 1 + 7 * (i % kinds.len()) as u32;
            let tail = if KINDS[kind] == 1 { vec![8] } else { vec![] };
            [vec![name, KINDS[kind] << 24, SIZES[size]], tail].concat()
        };
        let make = |words: Vec<u32>| {
            let bytes = raw(&words, texts.len() as u32, texts.as_bytes(), Endian::Little);
            Arc::new(Btf::read_owned(bytes, None).unwrap())
        };
        // The whole has the same types in another order, and pointers between them.
        let distilled = make((0..kinds.len()).flat_map(ty).collect());
        let pointer = |i: usize| vec![0, 2 << 24, i as u32];
        let whole = make((0..kinds.len()).flat_map(|i| [ty(i + turn), pointer(i)].concat()).collect());
        // The module's types refer to the base's as well as to each other.
        let (own, count) = (set(&own), (kinds.len() + own.len() + 1) as u32);
        let mut module = Builder::over(distilled.clone());
        for id in own.ids() {
            module.copy(&own, id, |to| TypeId((7 * to.0 + id.0) % count));
        }
        let module = module.finish().unwrap();
        let moved = module.relocate(whole.clone()).unwrap();
        prop_assert_eq!(moved.count() - whole.count(), own.count() - 1);
        for (before, after) in module.ids().zip(moved.ids()) {
            prop_assert_eq!(said(&module, before), said(&moved, after));
        }
        prop_assert!(moved.relocate(distilled).is_err(), "a base with pointers is none that was distilled");
    }
}

#[test]
fn circles_of_every_kind_end() {
    // Each kind in a circle with each: what refers is all of a type's references.
    for one in 1..=19 {
        for other in 1..=19 {
            let to = |kind: u32, id: u32| Recipe { kind, flag: false, name: 2, third: id, parts: vec![[id; 3]; 2] };
            let btf = set(&[to(one, 2), to(other, 1)]);
            ask(&btf);
            ask(&set(&[to(one, 1)]));
        }
    }
}

#[test]
fn files_that_claim_more_than_they_hold_are_refused_by_where_they_claim_it() {
    let code = |bytes: &[u8]| Btf::read(bytes, None).unwrap_err().code.0;
    // A kilobyte; its header claims 2^31 bytes of types, of strings, and all there can be.
    let mut file = raw(&[1, 1 << 24, 4, 32].repeat(60), 8, b"\0int\0\0\0", Endian::Little);
    file.resize(1024, 0);
    for claimed in [1u32 << 31, u32::MAX, 1025] {
        for field in [4, 8, 12, 16, 20] {
            let mut file = file.clone();
            file[field..field + 4].copy_from_slice(&claimed.to_le_bytes());
            assert!(["btf-truncated", "btf-header"].contains(&code(&file)), "{claimed} at {field}");
        }
    }
    // Types that claim 65,535 parts, and one that is cut off.
    for kind in [4, 5, 6, 13, 15, 19] {
        assert_eq!(code(&raw(&[1, kind << 24 | 0xffff, 4, 0, 0, 0], 5, b"\0int\0", Endian::Little)), "btf-truncated");
    }
    assert_eq!(code(&raw(&[1, 1 << 24, 4], 5, b"\0int\0", Endian::Little)), "btf-truncated");
    // What refers to type 2^31 refers to none.
    assert_eq!(code(&raw(&[0, 2 << 24, 1 << 31], 1, b"\0", Endian::Little)), "btf-reference");
    // An array of 2^32 - 1 elements of itself, printed: as long as its bytes are.
    let array = raw(&[0, 3 << 24, 0, 2, 2, u32::MAX, 0, 1 << 24, 1, 8], 1, b"\0", Endian::Little);
    let btf = Btf::read_owned(array, None).unwrap();
    assert_eq!(btf.ty(TypeId(1)).unwrap().kind(), Kind::Array);
    assert!(btf.value(TypeId(1), &[7; 1000]).to_string().len() < 10_000);
    // Records of `.BTF.ext` that claim to be 2^31.
    let mut ext = vec![0x9f, 0xeb, 1, 0];
    ext.extend([24u32, 0, 16, 16, 0].into_iter().chain([8, 0, 1 << 31, 0]).flat_map(u32::to_le_bytes));
    assert!(Ext::read(&ext, &btf).is_err());
}
