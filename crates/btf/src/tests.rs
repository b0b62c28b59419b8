//! Tests over hand-made BTF; objects of real compilers are read by `alveary-object`'s tests.

use crate::{Btf, CoreKind, Ext, Kind, Snippet, Type, TypeId, parse_plain};
use alveary_isa::Endian;
use std::sync::Arc;

/// Writes BTF, a word at a time.
struct Maker {
    endian: Endian,
    types: Vec<u32>,
    strings: Vec<u8>,
    first_string: u32,
    next: u32,
}

impl Maker {
    fn new(endian: Endian) -> Maker {
        Maker { endian, types: Vec::new(), strings: vec![0], first_string: 0, next: 1 }
    }

    fn string(&mut self, s: &str) -> u32 {
        if s.is_empty() {
            return 0;
        }
        let at = self.first_string + self.strings.len() as u32;
        self.strings.extend(s.bytes().chain([0]));
        at
    }

    fn add(&mut self, name: &str, kind: Kind, flag: bool, vlen: u32, third: u32, tail: &[u32]) -> u32 {
        let name = self.string(name);
        self.types.extend([name, (kind as u32) << 24 | vlen | u32::from(flag) << 31, third]);
        self.types.extend(tail);
        self.next += 1;
        self.next - 1
    }

    fn int(&mut self, name: &str, size: u32, encoding: u32) -> u32 {
        self.add(name, Kind::Int, false, 0, size, &[(encoding << 24) + size * 8])
    }

    fn array(&mut self, element: u32, len: u32) -> u32 {
        self.add("", Kind::Array, false, 0, 0, &[element, 1, len])
    }

    /// A struct with members (name, type, first bit, bits).
    fn record(&mut self, kind: Kind, name: &str, size: u32, members: &[(&str, u32, u32, u32)]) -> u32 {
        let flag = members.iter().any(|m| m.3 != 0);
        let tail: Vec<u32> = members.iter().flat_map(|m| [self.string(m.0), m.1, m.2 | m.3 << 24]).collect();
        self.add(name, kind, flag, members.len() as u32, size, &tail)
    }

    fn bytes(&self) -> Vec<u8> {
        let word = |w: u32| if self.endian == Endian::Little { w.to_le_bytes() } else { w.to_be_bytes() };
        let types = self.types.len() as u32 * 4;
        let mut out = if self.endian == Endian::Little { vec![0x9f, 0xeb, 1, 0] } else { vec![0xeb, 0x9f, 1, 0] };
        for w in [24, 0, types, types, self.strings.len() as u32] {
            out.extend(word(w));
        }
        out.extend(self.types.iter().flat_map(|w| word(*w)));
        out.extend(&self.strings);
        out
    }

    fn btf(&self) -> Btf {
        Btf::read(&self.bytes(), None).unwrap()
    }
}

/// A set with what the tests need; gives the ids by name.
fn sample(endian: Endian) -> Btf {
    let mut m = Maker::new(endian);
    let u32_ = m.int("unsigned int", 4, 0);
    let int = m.int("int", 4, 1);
    let char = m.int("char", 1, 1);
    let u8_ = m.int("unsigned char", 1, 0);
    let bool = m.int("_Bool", 1, 4);
    let name = m.array(char, 8);
    let mac = m.array(u8_, 6);
    let in6 = m.array(u8_, 16);
    let (red, green) = (m.string("RED"), m.string("GREEN"));
    let color = m.add("color", Kind::Enum, true, 2, 4, &[red, 0, green, -1i32 as u32]);
    let big = m.string("BIG");
    m.add("wide", Kind::Enum64, false, 1, 8, &[big, 5, 1]);
    let inner = m.record(Kind::Union, "", 4, &[("word", u32_, 0, 0), ("signed", int, 0, 0)]);
    m.record(
        Kind::Struct,
        "all",
        32,
        &[
            ("a", u32_, 0, 0),
            ("", inner, 32, 0),
            ("name", name, 64, 0),
            ("mac", mac, 128, 0),
            ("ok", bool, 176, 0),
            ("color", color, 192, 0),
            ("low", u32_, 224, 3),
            ("high", int, 227, 5),
        ],
    );
    let v4 = m.array(u8_, 4);
    m.record(Kind::Struct, "lpm4", 8, &[("len", u32_, 0, 0), ("addr", v4, 32, 0)]);
    m.record(Kind::Struct, "lpm6", 20, &[("len", u32_, 0, 0), ("addr", in6, 32, 0)]);
    let flexible = m.array(u32_, 0);
    m.record(Kind::Struct, "tail", 4, &[("n", u32_, 0, 0), ("rest", flexible, 32, 0)]);
    m.record(Kind::Struct, "in6_addr", 16, &[("bytes", in6, 0, 0)]);
    let ptr = m.add("", Kind::Ptr, false, 0, u32_, &[]);
    m.add("handle", Kind::Typedef, false, 0, ptr, &[]);
    m.btf()
}

fn id(btf: &Btf, name: &str, kind: Kind) -> TypeId {
    btf.find(name, kind).unwrap()
}

fn parse(btf: &Btf, ty: TypeId, text: &str) -> Result<Vec<u8>, String> {
    btf.parse_value(ty, &Snippet::whole("text", text)).map_err(|d| d.to_string())
}

#[test]
fn values_print_by_their_types_and_are_read_back_in_both_byte_orders() {
    for endian in [Endian::Little, Endian::Big] {
        let btf = sample(endian);
        let all = id(&btf, "all", Kind::Struct);
        let text = "{.a = 7, .word = 4294967295, .signed = -1, .name = \"eth0\", .mac = [1, 2, 3, 4, 5, 6], \
                    .ok = true, .color = GREEN, .low = 5, .high = -2}";
        let bytes = parse(&btf, all, text).unwrap();
        assert_eq!(btf.value(all, &bytes).to_string(), text, "{endian:?}");
        let a = if endian == Endian::Little { [7, 0, 0, 0] } else { [0, 0, 0, 7] };
        assert_eq!(bytes[..4], a);
        // Bit fields count from the low bit in little-endian memory, from the high one in big-endian.
        assert_eq!(bytes[28], if endian == Endian::Little { 0b1111_0101 } else { 0b1011_1110 });
    }
}

#[test]
fn values_take_a_line_a_member_in_the_alternate_form() {
    let btf = sample(Endian::Little);
    let value = btf.value(id(&btf, "lpm4", Kind::Struct), &[24, 0, 0, 0, 10, 0, 0, 0]);
    assert_eq!(format!("{value:#}"), "{\n    .len = 24,\n    .addr = [10, 0, 0, 0],\n}");
}

#[test]
fn a_flexible_array_takes_what_is_left() {
    let btf = sample(Endian::Little);
    let value = btf.value(id(&btf, "tail", Kind::Struct), &[2, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0]);
    assert_eq!(value.to_string(), "{.n = 2, .rest = [9, 8]}");
}

#[test]
fn unprintable_characters_stay_numbers_and_missing_bytes_stay_bytes() {
    let btf = sample(Endian::Little);
    let all = id(&btf, "all", Kind::Struct);
    let mut bytes = vec![0; 32];
    bytes[8] = 200;
    assert!(btf.value(all, &bytes).to_string().contains(".name = [-56, 0, 0, 0, 0, 0, 0, 0]"));
    assert!(btf.value(all, &[1, 0]).to_string().starts_with("{.a = hex:0100"));
}

#[test]
fn addresses_and_prefixes_are_written_as_people_write_them() {
    let btf = sample(Endian::Little);
    let lpm4 = id(&btf, "lpm4", Kind::Struct);
    assert_eq!(parse(&btf, lpm4, "10.1.0.0/16").unwrap(), [16, 0, 0, 0, 10, 1, 0, 0]);
    assert_eq!(parse(&btf, id(&btf, "lpm6", Kind::Struct), "fe80::/10").unwrap()[..6], [10, 0, 0, 0, 0xfe, 0x80]);
    assert_eq!(parse(&btf, id(&btf, "unsigned int", Kind::Int), "127.0.0.1").unwrap(), [127, 0, 0, 1]);
    assert_eq!(parse(&btf, id(&btf, "in6_addr", Kind::Struct), "::1").unwrap()[15], 1);
    assert_eq!(parse(&btf, TypeId(7), "aa:bb:cc:dd:ee:ff").unwrap(), [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
    assert_eq!(parse(&btf, id(&btf, "wide", Kind::Enum64), "BIG").unwrap(), [5, 0, 0, 0, 1, 0, 0, 0]);
    let error = parse(&btf, lpm4, "10.1.0.0/33").unwrap_err();
    let wanted = "an IPv4 prefix of at most 32 bits, such as 10.0.0.0/8 or 10.0.0.1/32";
    assert_eq!(error, format!("text:1:1: this is no value of the type (expected {wanted}, found `10.1.0.0/33`)"));
}

#[test]
fn errors_point_at_the_part_of_the_text() {
    let btf = sample(Endian::Little);
    let all = id(&btf, "all", Kind::Struct);
    let error = |text: &str| parse(&btf, all, text).unwrap_err();
    assert_eq!(
        error("{a = 1, colour = RED}"),
        "text:1:9: no member of this name (expected a member of struct all, found `colour`)"
    );
    assert_eq!(
        error("{color = BLUE}"),
        "text:1:10: this is no name of the enumeration (expected enum color, found `BLUE`)"
    );
    assert_eq!(
        error("{a = 4294967296}"),
        "text:1:6: the number does not fit (expected unsigned int: 0 to 4294967295, found `4294967296`)"
    );
    assert_eq!(
        error("{low = 8}"),
        "text:1:8: this is no value for the bit field (expected a number of 3 bits, found `8`)"
    );
    assert_eq!(
        error("{a = 1, a = 2}"),
        "text:1:9: a member that is given twice (expected each member once, found `a`)"
    );
    assert_eq!(error("{ok = 2}"), "text:1:7: the number does not fit (expected _Bool: 0, 1, true or false, found `2`)");
    assert_eq!(error("{a = 1"), "text:1:7: a struct that does not end (expected `,` or `}`, found nothing)");
    assert_eq!(error("{a = 1} 2"), "text:1:9: there is more text than one value (expected the end, found `2`)");
    let help = btf.parse_value(all, &Snippet::whole("text", "{colr = RED}")).unwrap_err();
    assert_eq!(help.help, ["did you mean `color`?"]);
}

#[test]
fn names_of_enumerations_of_impossible_sizes_are_no_values() {
    for size in [0, 3, 64] {
        let mut maker = Maker::new(Endian::Little);
        let name = maker.string("ONE");
        let ty = maker.add("odd", Kind::Enum, true, 1, size, &[name, 1]);
        let error = parse(&maker.btf(), TypeId(ty), "ONE").expect_err("there is no such number");
        assert!(error.contains("no value of the type"), "{error}");
    }
}

#[test]
fn a_part_of_a_text_is_read_and_errors_count_from_the_text() {
    let btf = sample(Endian::Little);
    let int = id(&btf, "int", Kind::Int);
    let from = Snippet { file: "--map", text: "ports:443=-1", bytes: 6..9 };
    assert_eq!(btf.parse_value(int, &from).unwrap(), [0xbb, 1, 0, 0]);
    let from = Snippet { bytes: 10..12, ..from };
    assert_eq!(btf.parse_value(int, &from).unwrap(), [255; 4]);
    let error = btf.parse_value(TypeId(4), &from).unwrap_err();
    assert_eq!(error.to_string(), "--map:1:11: the number does not fit (expected unsigned char: 0 to 255, found `-1`)");
}

#[test]
fn without_types_numbers_addresses_and_bytes_are_read() {
    let plain =
        |size, text: &str| parse_plain(size, Endian::Big, &Snippet::whole("text", text)).map_err(|d| d.to_string());
    assert_eq!(plain(2, "443").unwrap(), [1, 0xbb]);
    assert_eq!(plain(8, "-1").unwrap(), [255; 8]);
    assert_eq!(plain(4, "1.2.3.4").unwrap(), [1, 2, 3, 4]);
    assert_eq!(plain(8, "10.0.0.0/8").unwrap(), [0, 0, 0, 8, 10, 0, 0, 0]);
    assert_eq!(plain(6, "2:0:0:0:0:1").unwrap(), [2, 0, 0, 0, 0, 1]);
    assert_eq!(plain(3, "0x010203").unwrap(), [1, 2, 3]);
    assert_eq!(plain(3, "hex:01:02:03").unwrap(), [1, 2, 3]);
    assert_eq!(
        plain(1, "256").unwrap_err(),
        "text:1:1: the number does not fit (expected a value of 1 bytes: 0 to 255, found `256`)"
    );
    assert!(plain(3, "hex:01").unwrap_err().contains("expected 3 bytes"));
}

#[test]
fn types_are_found_by_name_and_kind_and_named_in_c_terms() {
    let btf = sample(Endian::Little);
    let all = id(&btf, "all", Kind::Struct);
    assert_eq!(btf.find("all", Kind::Union), None);
    assert_eq!(btf.size_of(all), Some(32));
    let handle = id(&btf, "handle", Kind::Typedef);
    assert!(matches!(btf.resolved(handle), Type::Ptr(_)));
    assert_eq!(btf.c_name(btf.resolve(handle)), "unsigned int *");
    assert_eq!(btf.c_name(TypeId(6)), "char[8]");
}

#[test]
fn split_btf_continues_ids_and_strings_of_its_base() {
    let base = Arc::new(sample(Endian::Little));
    let mut m = Maker::new(Endian::Little);
    m.strings.clear();
    m.first_string = base.string_end();
    let all = id(&base, "all", Kind::Struct);
    m.add("module_type", Kind::Typedef, false, 0, all.0, &[]);
    let split = Btf::read(&m.bytes(), Some(base.clone())).unwrap();
    let own = id(&split, "module_type", Kind::Typedef);
    assert_eq!(own.0, base.count());
    assert_eq!(split.name(split.resolve(own)), "all");
    assert_eq!(split.find("all", Kind::Struct), Some(all));
    let big = Btf::read(&Maker::new(Endian::Big).bytes(), Some(base)).unwrap_err();
    assert_eq!(big.code.0, "btf-endian");
}

#[test]
fn cycles_of_types_end() {
    let mut m = Maker::new(Endian::Little);
    m.add("a", Kind::Typedef, false, 0, 2, &[]);
    m.add("b", Kind::Typedef, false, 0, 1, &[]);
    m.add("", Kind::Array, false, 0, 0, &[3, 3, 2]);
    // A struct without size that holds itself many times.
    m.record(Kind::Struct, "self", 0, &[("", 4, 0, 0); 100]);
    let btf = m.btf();
    assert_eq!(btf.resolve(TypeId(1)), TypeId::VOID);
    assert_eq!(btf.size_of(TypeId(3)), None);
    let _ = btf.value(TypeId(3), &[0; 8]);
    let _ = btf.value(TypeId(4), &[0; 8]);
    assert!(btf.parse_value(TypeId(4), &Snippet::whole("text", "{x = 1}")).is_err());
    assert_eq!(btf.c_name(TypeId(1)), "a");
    assert_eq!(btf.c_name(TypeId(3)), "an endless type");
}

#[test]
fn damaged_btf_is_refused_and_never_panics() {
    let good = sample(Endian::Little).bytes().to_vec();
    for len in 0..good.len() {
        assert!(Btf::read(&good[..len], None).is_err(), "cut at {len}");
    }
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            if let Ok(btf) = Btf::read(&bytes, None) {
                for ty in btf.ids() {
                    btf.value(ty, &[1; 40]).to_string();
                    let _ = btf.c_name(ty);
                    let _ = btf.parse_value(ty, &Snippet::whole("text", "{a = 1}"));
                }
            }
        }
    }
    // A small file that claims a lot.
    let mut huge = good.clone();
    huge[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = Btf::read(&huge, None).unwrap_err();
    assert_eq!(error.code.0, "btf-truncated");
    let mut kind = good.clone();
    kind[24 + 7] = 31;
    assert_eq!(
        Btf::read(&kind, None).unwrap_err().to_string(),
        "section .BTF, offset 0x18: type 1 is of an unknown kind (expected a kind from 1 to 19, found 31)"
    );
    assert_eq!(Btf::read(b"\x7fELF", None).unwrap_err().code.0, "btf-magic");
}

#[test]
fn ext_records_of_any_size_are_read() {
    let mut m = Maker::new(Endian::Little);
    let section = m.string("xdp");
    let access = m.string("0:1");
    let int = m.int("int", 4, 1);
    let record = m.record(Kind::Struct, "pair", 8, &[("x", int, 0, 0), ("y", int, 32, 0)]);
    let btf = m.btf();
    // Records of 12, 20 and 16 bytes: two kinds are longer than they need be.
    let funcs = [12, section, 1, 16, int, 99];
    let lines = [20, section, 1, 8, 1, 1, 7 << 10 | 3, 99];
    let core = [16, section, 1, 24, record, access, 2];
    let mut ext = vec![0x9f, 0xeb, 1, 0];
    for w in [32, 0, 24, 24, 32, 56, 28].into_iter().chain(funcs).chain(lines).chain(core) {
        ext.extend(u32::to_le_bytes(w));
    }
    let read = Ext::read(&ext, &btf).unwrap();
    assert_eq!((read.funcs[0].0.as_str(), read.funcs[0].1[0].insn), ("xdp", 2));
    assert_eq!((read.lines[0].1[0].line, read.lines[0].1[0].column), (7, 3));
    let reloc = read.core[0].1[0];
    assert_eq!((reloc.insn, reloc.kind), (3, CoreKind::FieldExists));
    assert_eq!(btf.describe_core(&reloc), "existence of field `struct pair.y`");
    for len in 0..ext.len() {
        assert!(Ext::read(&ext[..len], &btf).is_err(), "cut at {len}");
    }
    for at in 0..ext.len() * 8 {
        let mut bytes = ext.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        let _ = Ext::read(&bytes, &btf);
    }
}

#[test]
fn flavours_of_a_type_are_found_together_and_apart() {
    let mut maker = Maker::new(Endian::Little);
    for name in ["task", "task___old", "task___very___old", "taskette", "___task", "task____x"] {
        maker.record(Kind::Struct, name, 4, &[]);
    }
    let btf = Btf::read(&maker.bytes(), None).unwrap();
    let ids = |found: Box<dyn Iterator<Item = TypeId> + '_>| found.map(|id| btf.name(id)).collect::<Vec<_>>();
    assert_eq!(ids(btf.flavours("task")), ["task", "task___old"]);
    assert_eq!(ids(btf.flavours("task___mine")), ["task", "task___old"]);
    assert_eq!(ids(btf.named("task___old")), ["task___old"]);
    assert_eq!(ids(btf.flavours("task___very___new")), ["task___very___old"]);
    assert_eq!(ids(btf.flavours("___task")), ["___task"]);
}

#[test]
fn unsigned_numbers_of_128_bits_are_shown_as_they_are() {
    let mut b = crate::Builder::new(Endian::Little);
    let mut int =
        |name, signed| b.add(&crate::New::Int { name, size: 16, bits: 128, signed, char: false, bool: false });
    let (unsigned, signed) = (int("unsigned __int128", false), int("__int128", true));
    let btf = b.finish().unwrap();
    // It was shown as -1 once.
    assert_eq!(btf.value(unsigned, &[0xff; 16]).to_string(), u128::MAX.to_string());
    assert_eq!(btf.value(signed, &[0xff; 16]).to_string(), "-1");
    assert_eq!(btf.value(unsigned, &7u128.to_le_bytes()), crate::Value::Int(7));
}
