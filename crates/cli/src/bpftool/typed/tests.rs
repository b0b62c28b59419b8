//! Values of every kind, in the compact form.

use super::Typed;
use crate::bpftool::json::Json;
use alveary_btf::{Array, Btf, Builder, Enumerator, Member, New, TypeId};
use alveary_isa::Endian;

fn text(btf: &Btf, ty: TypeId, bytes: &[u8], plain: bool) -> String {
    let mut out = Vec::new();
    Typed { btf, plain, programs: false }.value(ty, bytes, &mut Json::new(&mut out, false)).unwrap();
    String::from_utf8(out).unwrap()
}

/// The text of a value of one type.
fn one(add: impl FnOnce(&mut Builder) -> TypeId, bytes: &[u8]) -> String {
    let mut b = Builder::new(Endian::Little);
    let ty = add(&mut b);
    text(&b.finish().unwrap(), ty, bytes, false)
}

fn int(b: &mut Builder, name: &str, size: u32, signed: bool) -> TypeId {
    b.add(&New::Int { name, size, bits: 8 * size as u8, signed, char: false, bool: name == "_Bool" })
}

#[test]
fn enumerations_are_named_by_their_bits_and_numbers_follow_their_sign() {
    let values =
        |values: &[(&'static str, i128)]| values.iter().map(|&(name, value)| Enumerator { name, value }).collect();
    let of = |size, signed, all: &[(&'static str, i128)], bytes: &[u8]| {
        let values: Vec<Enumerator<'_>> = values(all);
        one(|b| b.add(&New::Enum { name: "e", size, signed, values: &values }), bytes)
    };
    assert_eq!(of(4, false, &[("TOP", 1 << 31)], &[0, 0, 0, 0x80]), "\"TOP\"");
    assert_eq!(of(4, false, &[("TOP", 1 << 31)], &[9, 0, 0, 0x80]), "2147483657");
    assert_eq!(of(4, true, &[("NEG", -5)], &[0xfb, 0xff, 0xff, 0xff]), "\"NEG\"");
    assert_eq!(of(4, true, &[("NEG", -5)], &[0xfa, 0xff, 0xff, 0xff]), "-6");
    // bpftool takes an enumeration of one byte as signed, and does not find the name.
    assert_eq!(of(1, false, &[("T1", 200)], &[200]), "\"T1\"");
    let wide = [Enumerator { name: "MAX", value: i128::from(u64::MAX) }];
    let wide = |bytes: &[u8]| one(|b| b.add(&New::Enum64 { name: "w", size: 8, signed: false, values: &wide }), bytes);
    assert_eq!(wide(&[0xff; 8]), "\"MAX\"");
    assert_eq!(wide(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "18446744073709551614");
}

#[test]
fn floating_point_is_a_number_where_json_has_one() {
    let float = |size, bytes: &[u8]| one(|b| b.add(&New::Float { name: "float", size }), bytes);
    assert_eq!(float(4, &1.5f32.to_le_bytes()), "1.5");
    assert_eq!(float(8, &(-2.25f64).to_le_bytes()), "-2.25");
    assert_eq!(float(8, &f64::NAN.to_le_bytes()), "\"NaN\"");
    assert_eq!(float(4, &f32::NEG_INFINITY.to_le_bytes()), "\"-inf\"");
    assert_eq!(float(16, &[1; 16]), "\"0x1010101010101010101010101010101\"");
}

#[test]
fn bit_fields_wide_numbers_addresses_and_nested_structs() {
    let mut b = Builder::new(Endian::Little);
    let (char, number) = (int(&mut b, "char", 1, true), int(&mut b, "int", 4, true));
    let wide = int(&mut b, "unsigned __int128", 16, false);
    let ptr = b.add(&New::Ptr(number));
    let name = b.add(&New::Array(Array { element: char, index: number, len: 4 }));
    let tail = b.add(&New::Array(Array { element: number, index: number, len: 0 }));
    let member = |name, ty, bit_offset, bits| Member { name, ty, bit_offset, bits };
    let either =
        b.add(&New::Union { name: "", size: 4, members: &[member("n", number, 0, None), member("c", char, 0, None)] });
    let members = [
        member("few", number, 0, Some(3)),
        member("name", name, 32, None),
        member("", either, 64, None),
        member("to", ptr, 128, None),
        member("wide", wide, 256, None),
        member("tail", tail, 384, None),
    ];
    let ty = b.add(&New::Struct { name: "s", size: 48, members: &members });
    let btf = b.finish().unwrap();
    let mut bytes = vec![0xfd, 0, 0, 0, b'a', b'b', 0, 0, 0xfe, 0xff, 0xff, 0xff];
    bytes.resize(16, 0);
    bytes.extend(0xffff_8880_0000_1000u64.to_le_bytes());
    bytes.resize(32, 0);
    bytes.extend((1u128 << 127 | 5).to_le_bytes());
    let expected = concat!(
        r#"{"few":"0x5","name":"ab","":{"n":-2,"c":-2},"to":18446612682070036480,"#,
        r#""wide":"0x80000000000000000000000000000005","tail":[]}"#
    );
    assert_eq!(text(&btf, ty, &bytes, false), expected);
    assert!(text(&btf, ty, &bytes, true).contains(r#""to":"0xffff888000001000","wide":0x8000"#));
    // Text that does not end in a zero, or has more than printable characters, is numbers.
    assert_eq!(text(&btf, name, b"abcd", false), "[97,98,99,100]");
    assert_eq!(text(&btf, name, b"a\tb\0", false), "[97,9,98,0]");
}
