//! Values by their types: what `run --dump-maps` shows beside the `formatted` of `bpftool map dump`, on a map in the kernel.

use super::{BPFTOOL, id, output, permitted, text};
use alveary_abi::MapType;
use alveary_btf::{Array, Builder, Enumerator, Linkage, Member, New, SectionVar, TypeId};
use alveary_isa::Endian;
use alveary_linux::sys::{BtfLoad, MapCreate};
use std::os::fd::AsFd;

/// A member of the value in the map.
struct Row {
    name: &'static str,
    ty: TypeId,
    /// The width, if it is a bit field; its bytes are then those of its storage.
    bits: Option<u8>,
    bytes: Vec<u8>,
    /// As bpftool's JSON has it, and as we show it.
    theirs: &'static str,
    ours: &'static str,
}

fn row(name: &'static str, ty: TypeId, bytes: impl AsRef<[u8]>, theirs: &'static str, ours: &'static str) -> Row {
    Row { name, ty, bits: None, bytes: bytes.as_ref().to_vec(), theirs, ours }
}

fn bits(name: &'static str, ty: TypeId, width: u8, byte: u32, theirs: &'static str, ours: &'static str) -> Row {
    Row { bits: Some(width), ..row(name, ty, byte.to_ne_bytes(), theirs, ours) }
}

fn int(b: &mut Builder, name: &'static str, size: u32, signed: bool) -> TypeId {
    b.add(&New::Int { name, size, bits: 8 * size as u8, signed, char: false, bool: name == "_Bool" })
}

fn member(name: &'static str, ty: TypeId, bit_offset: u32) -> Member<'static> {
    Member { name, ty, bit_offset, bits: None }
}

/// Every kind of value, with what is shown of it. Where the two sides say more than their notations differ in, a line
/// says why.
fn rows(b: &mut Builder) -> Vec<Row> {
    let number = int(b, "int", 4, true);
    let word = int(b, "unsigned int", 4, false);
    let long = int(b, "unsigned long long", 8, false);
    let char = int(b, "char", 1, true);
    let byte = int(b, "unsigned char", 1, false);
    let truth = int(b, "_Bool", 1, false);
    let wide = int(b, "unsigned __int128", 16, false);
    let signed_wide = int(b, "__int128", 16, true);
    let array = |b: &mut Builder, element, len| b.add(&New::Array(Array { element, index: word, len }));
    let name = array(b, char, 4);
    let bytes = array(b, byte, 4);
    let pair = array(b, number, 2);
    let pairs = array(b, pair, 2);
    let tail = array(b, number, 0);
    let values = [("OFF", 0), ("ON", 1)].map(|(name, value)| Enumerator { name, value });
    let state = b.add(&New::Enum { name: "state", size: 4, signed: false, values: &values });
    let values = [("LOSS", -5)].map(|(name, value)| Enumerator { name, value });
    let change = b.add(&New::Enum { name: "change", size: 4, signed: true, values: &values });
    let values = [("HIGH", 200)].map(|(name, value)| Enumerator { name, value });
    let small = b.add(&New::Enum { name: "small", size: 1, signed: false, values: &values });
    let values = [("MOST", u64::MAX.into())].map(|(name, value)| Enumerator { name, value });
    let large = b.add(&New::Enum64 { name: "large", size: 8, signed: false, values: &values });
    let point =
        b.add(&New::Struct { name: "point", size: 8, members: &[member("x", number, 0), member("y", number, 32)] });
    let either =
        b.add(&New::Union { name: "either", size: 4, members: &[member("n", number, 0), member("c", byte, 0)] });
    let nameless =
        b.add(&New::Union { name: "", size: 4, members: &[member("low", word, 0), member("lowest", byte, 0)] });
    let constant = b.add(&New::Const(number));
    let named = b.add(&New::Typedef { name: "number_t", ty: constant });
    let to = b.add(&New::Ptr(point));
    vec![
        row("negative", number, (-5i32).to_ne_bytes(), "-5", "-5"),
        row("behind_typedef", named, 7i32.to_ne_bytes(), "7", "7"),
        row("most", long, u64::MAX.to_ne_bytes(), "18446744073709551615", "18446744073709551615"),
        row("yes", truth, [1], "true", "true"),
        row("no", truth, [0], "false", "false"),
        row("letter", char, [b'a'], "97", "97"),
        row("text", name, b"ab\0\0", "\"ab\"", "\"ab\""),
        row("empty", name, [0; 4], "\"\"", "\"\""),
        row("unprintable", name, [b'a', 1, 0, 0], "[97,1,0,0]", "[97, 1, 0, 0]"),
        // There only what ends in a zero is text.
        row("full", name, b"abcd", "[97,98,99,100]", "\"abcd\""),
        // There what stands behind the first zero is not shown.
        row("stale", name, b"a\0b\0", "\"a\"", "[97, 0, 98, 0]"),
        row("bytes", bytes, b"abc\0", "[97,98,99,0]", "[97, 98, 99, 0]"),
        row("array", pair, [1, 0, 0, 0, 2, 0, 0, 0], "[1,2]", "[1, 2]"),
        row("nested", pairs, [[1, 0, 0, 0]; 4].concat(), "[[1,1],[1,1]]", "[[1, 1], [1, 1]]"),
        row("known", state, 1u32.to_ne_bytes(), "\"ON\"", "ON"),
        row("unknown", state, 9u32.to_ne_bytes(), "9", "9"),
        row("below", change, (-5i32).to_ne_bytes(), "\"LOSS\"", "LOSS"),
        // There enumerations of one byte have a sign.
        row("small", small, [200], "-56", "HIGH"),
        row("large", large, u64::MAX.to_ne_bytes(), "\"MOST\"", "MOST"),
        row("large_unknown", large, 7u64.to_ne_bytes(), "7", "7"),
        row("point", point, [3, 0, 0, 0, 4, 0, 0, 0], "{\"x\":3,\"y\":4}", "{.x = 3, .y = 4}"),
        row("either", either, [65, 0, 0, 0], "{\"n\":65,\"c\":65}", "{.n = 65, .c = 65}"),
        // Here members of what has no name stand among the others, as in C.
        row("", nameless, [2, 1, 0, 0], "{\"low\":258,\"lowest\":2}", ".low = 258, .lowest = 2"),
        // Addresses are numbers in its JSON; in its text they are hexadecimal, too.
        row("to", to, 0xffff_8880_0000_1000u64.to_ne_bytes(), "18446612682070036480", "0xffff888000001000"),
        // What is wider than 64 bits, and every bit field, is there hexadecimal and without a sign or a name.
        row(
            "wide",
            wide,
            [0xff; 16],
            "\"0xffffffffffffffffffffffffffffffff\"",
            "340282366920938463463374607431768211455",
        ),
        row("signed_wide", signed_wide, [0xff; 16], "\"0xffffffffffffffffffffffffffffffff\"", "-1"),
        bits("few", number, 3, 5, "\"0x5\"", "-3"),
        bits("few_unsigned", word, 3, 5, "\"0x5\"", "5"),
        bits("few_states", state, 2, 1, "\"0x1\"", "ON"),
        // The value ends where the map's values end: there is nothing of it.
        row("tail", tail, [], "[]", "[]"),
    ]
}

/// What no map's value ends with, but a variable may: bpftool shows nothing of it, nor of floating point, at which it
/// leaves off.
#[test]
fn filled_flexible_arrays_and_floats_beside_bpftools() {
    if !permitted("filled_flexible_arrays_and_floats_beside_bpftools") {
        return;
    }
    let mut b = Builder::new(Endian::Little);
    let number = int(&mut b, "int", 4, true);
    let half = b.add(&New::Float { name: "float", size: 4 });
    let tail = b.add(&New::Array(Array { element: number, index: number, len: 0 }));
    let tailed =
        b.add(&New::Struct { name: "tailed", size: 4, members: &[member("n", number, 0), member("tail", tail, 32)] });
    let variables = [("filled", tailed, 12), ("half", half, 4), ("behind", number, 4)];
    let mut vars = Vec::new();
    for (name, ty, size) in variables {
        let ty = b.add(&New::Var { name, ty, linkage: Linkage::Global });
        vars.push(SectionVar { ty, offset: vars.iter().map(|v: &SectionVar| v.size).sum(), size });
    }
    let ty = b.add(&New::DataSec { name: ".data", size: 20, vars: &vars });
    let btf = b.finish().expect("the types are sound");
    let loaded = BtfLoad { bytes: btf.bytes(), token: None }.load().expect("the kernel takes the types");
    let map = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 4,
        value_size: 20,
        max_entries: 1,
        name: "cli_variables",
        btf: Some(loaded.as_fd()),
        btf_value_type: ty,
        ..MapCreate::default()
    };
    let map = map.create().expect("the kernel makes the map");
    let words = [2u32, 7, 8, 0.5f32.to_bits(), 9];
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    map.update(&[0; 4], &bytes, 0).expect("it has room");
    let told = |tool| {
        let told = text(&output(tool, &["-j", "map", "dump", "id", &id(&map)]).stdout);
        told.split_once("\"formatted\":").unwrap_or_else(|| panic!("{tool}: {told}")).1.trim_end().to_owned()
    };
    let alike = "{\"value\":{\".data\":[{\"filled\":{\"n\":2,\"tail\":[]}},{\"half\":";
    let theirs = told(BPFTOOL);
    assert!(theirs.starts_with(&format!("{alike}(unsupported-kind")) && !theirs.contains("behind"), "{theirs}");
    assert_eq!(told(env!("CARGO_BIN_EXE_alveary")), format!("{alike}0.5}},{{\"behind\":9}}]}}}}}}]"));
    assert_eq!(btf.value(tailed, &bytes[..12]).to_string(), "{.n = 2, .tail = [7, 8]}");
}

#[test]
fn values_say_what_bpftools_say() {
    if !permitted("values_say_what_bpftools_say") {
        return;
    }
    let mut b = Builder::new(Endian::Little);
    let rows = rows(&mut b);
    let (mut bytes, mut members) = (Vec::new(), Vec::new());
    for row in &rows {
        // Each stands where any type may.
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        members.push(Member { name: row.name, ty: row.ty, bit_offset: 8 * bytes.len() as u32, bits: row.bits });
        bytes.extend(&row.bytes);
    }
    let ty = b.add(&New::Struct { name: "all", size: bytes.len() as u32, members: &members });
    let btf = b.finish().expect("the types are sound");
    let loaded = BtfLoad { bytes: btf.bytes(), token: None }.load().expect("the kernel takes the types");
    let map = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 4,
        value_size: bytes.len() as u32,
        max_entries: 1,
        name: "cli_values",
        btf: Some(loaded.as_fd()),
        btf_key_type: TypeId(1),
        btf_value_type: ty,
        ..MapCreate::default()
    };
    let map = map.create().expect("the kernel makes the map");
    map.update(&[0; 4], &bytes, 0).expect("it has room");

    let list = |each: &dyn Fn(&Row) -> String, between| rows.iter().map(each).collect::<Vec<_>>().join(between);
    let theirs = list(&|row| format!("\"{}\":{}", row.name, row.theirs), ",");
    let ours = list(
        &|row| if row.name.is_empty() { row.ours.to_owned() } else { format!(".{} = {}", row.name, row.ours) },
        ", ",
    );
    assert_eq!(btf.value(ty, &bytes).to_string(), format!("{{{ours}}}"));
    for tool in [BPFTOOL, env!("CARGO_BIN_EXE_alveary")] {
        let told = text(&output(tool, &["-j", "map", "dump", "id", &id(&map)]).stdout);
        let (_, formatted) = told.split_once("\"formatted\":").unwrap_or_else(|| panic!("{tool}: {told}"));
        let expected = match tool {
            BPFTOOL => theirs.clone(),
            // `map dump` differs here as docs/btf.md says.
            _ => theirs.replace("\"small\":-56", "\"small\":\"HIGH\""),
        };
        assert_eq!(formatted.trim_end(), format!("{{\"key\":0,\"value\":{{{expected}}}}}}}]"), "{tool}");
    }
}
