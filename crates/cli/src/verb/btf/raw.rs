//! Types as they are stored, one after the other: bpftool's text and its JSON, from one list of fields.

use crate::bpftool::json::Json;
use alveary_btf::{Btf, Enum, Linkage, Type, TypeId};
use std::io::{self, Write};

/// What has no name is called so.
const ANONYMOUS: &str = "(anon)";

/// A type or a part of one: named numbers and words.
type Fields = Vec<(&'static str, Field)>;

enum Field {
    Number(i128),
    /// A value of a 64-bit enumeration, whose text ends in `LL` or `ULL`.
    Wide(i128, bool),
    Word(&'static str),
}

/// Parts of a type: what JSON calls the list of them, and each with its name (variables of sections have theirs
/// elsewhere).
struct Parts<'a> {
    list: &'static str,
    each: Vec<(Option<&'a str>, Fields, Option<Variable<'a>>)>,
}

/// What a section's variable is: `(VAR 'name')`.
struct Variable<'a> {
    kind: &'static str,
    name: &'a str,
}

struct Record<'a> {
    kind: &'static str,
    fields: Fields,
    parts: Option<Parts<'a>>,
}

/// Prints the types with these ids.
pub(super) fn text(btf: &Btf, ids: &[TypeId], out: &mut dyn Write) -> io::Result<()> {
    for id in ids {
        let Some(record) = Record::of(btf, *id) else { continue };
        write!(out, "[{}] {} '{}'", id.0, record.kind, known(btf.name(*id)))?;
        write_fields(out, record.kind, &record.fields, " ")?;
        for (name, fields, variable) in record.parts.into_iter().flat_map(|p| p.each) {
            out.write_all(b"\n\t")?;
            if let Some(name) = name {
                write!(out, "'{}'", known(name))?;
            }
            write_fields(out, "", &fields, if name.is_some() { " " } else { "" })?;
            if let Some(variable) = variable {
                write!(out, " ({} '{}')", variable.kind, known(variable.name))?;
            }
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes the types with these ids as JSON.
pub(super) fn json(btf: &Btf, ids: &[TypeId], json: &mut Json<'_>) -> io::Result<()> {
    json.object(|json| {
        json.name("types")?;
        json.array(|json| {
            let mut records = ids.iter().filter_map(|id| Some((*id, Record::of(btf, *id)?)));
            records.try_for_each(|(id, record)| object(btf, id, record, json))
        })
    })
}

fn object(btf: &Btf, id: TypeId, record: Record<'_>, json: &mut Json<'_>) -> io::Result<()> {
    json.object(|json| {
        json.field("id", id.0)?;
        json.field("kind", record.kind)?;
        json.field("name", known(btf.name(id)))?;
        json_fields(&record.fields, json)?;
        let Some(parts) = record.parts else { return Ok(()) };
        json.name(parts.list)?;
        json.array(|json| {
            parts.each.iter().try_for_each(|(name, fields, _)| {
                json.object(|json| {
                    if let Some(name) = name {
                        json.field("name", known(name))?;
                    }
                    json_fields(fields, json)
                })
            })
        })
    })
}

fn json_fields(fields: &Fields, json: &mut Json<'_>) -> io::Result<()> {
    fields.iter().try_for_each(|(name, field)| match field {
        Field::Number(n) | Field::Wide(n, _) => json.field(name, *n),
        Field::Word(word) => json.field(name, *word),
    })
}

fn write_fields(out: &mut dyn Write, kind: &str, fields: &Fields, first: &str) -> io::Result<()> {
    for (i, (name, field)) in fields.iter().enumerate() {
        // bpftool sets a comma in this one place.
        let between = match (i, kind) {
            (0, _) => first,
            (_, "VAR") => ", ",
            _ => " ",
        };
        match field {
            Field::Number(n) => write!(out, "{between}{name}={n}")?,
            Field::Wide(n, signed) => write!(out, "{between}{name}={n}{}", if *signed { "LL" } else { "ULL" })?,
            Field::Word(word) => write!(out, "{between}{name}={word}")?,
        }
    }
    Ok(())
}

fn known(name: &str) -> &str {
    if name.is_empty() { ANONYMOUS } else { name }
}

fn number(n: impl Into<i128>) -> Field {
    Field::Number(n.into())
}

fn linkage(linkage: Linkage) -> Field {
    Field::Word(match linkage {
        Linkage::Static => "static",
        Linkage::Global => "global",
        Linkage::Extern => "extern",
    })
}

impl<'a> Record<'a> {
    fn of(btf: &'a Btf, id: TypeId) -> Option<Record<'a>> {
        let refer = |kind, ty: TypeId| Record::plain(kind, vec![("type_id", number(ty.0))]);
        Some(match btf.ty(id)? {
            // No type's number: what a map without types of keys says that they are.
            Type::Void => Record::plain("UNKNOWN", Vec::new()),
            Type::Int(t) => Record::plain(
                "INT",
                vec![
                    ("size", number(t.size)),
                    ("bits_offset", number(t.offset)),
                    ("nr_bits", number(t.bits)),
                    ("encoding", Field::Word(encoding(t.signed, t.char, t.bool))),
                ],
            ),
            Type::Ptr(ty) => refer("PTR", ty),
            Type::Array(t) => Record::plain(
                "ARRAY",
                vec![
                    ("type_id", number(t.element.0)),
                    ("index_type_id", number(t.index.0)),
                    ("nr_elems", number(t.len)),
                ],
            ),
            Type::Struct(t) => Record::composite("STRUCT", t),
            Type::Union(t) => Record::composite("UNION", t),
            Type::Enum(t) => Record::enumeration("ENUM", t, |n, _| Field::Number(n)),
            Type::Enum64(t) => Record::enumeration("ENUM64", t, Field::Wide),
            Type::Fwd { union, .. } => {
                Record::plain("FWD", vec![("fwd_kind", Field::Word(if union { "union" } else { "struct" }))])
            }
            Type::Typedef { ty, .. } => refer("TYPEDEF", ty),
            Type::Volatile(ty) => refer("VOLATILE", ty),
            Type::Const(ty) => refer("CONST", ty),
            Type::Restrict(ty) => refer("RESTRICT", ty),
            Type::Func { proto, linkage: seen, .. } => {
                Record::plain("FUNC", vec![("type_id", number(proto.0)), ("linkage", linkage(seen))])
            }
            Type::FuncProto(t) => Record {
                kind: "FUNC_PROTO",
                fields: vec![("ret_type_id", number(t.ret.0)), ("vlen", number(t.params().len() as u32))],
                parts: Some(Parts {
                    list: "params",
                    each: t.params().map(|p| (Some(p.name), vec![("type_id", number(p.ty.0))], None)).collect(),
                }),
            },
            Type::Var { ty, linkage: seen, .. } => {
                Record::plain("VAR", vec![("type_id", number(ty.0)), ("linkage", linkage(seen))])
            }
            Type::DataSec(t) => Record {
                kind: "DATASEC",
                fields: vec![("size", number(t.size)), ("vlen", number(t.vars().len() as u32))],
                parts: Some(Parts {
                    list: "vars",
                    each: t
                        .vars()
                        .map(|v| {
                            let fields = vec![
                                ("type_id", number(v.ty.0)),
                                ("offset", number(v.offset)),
                                ("size", number(v.size)),
                            ];
                            let kind = if matches!(btf.ty(v.ty), Some(Type::Func { .. })) { "FUNC" } else { "VAR" };
                            (None, fields, Some(Variable { kind, name: btf.name(v.ty) }))
                        })
                        .collect(),
                }),
            },
            Type::Float { size, .. } => Record::plain("FLOAT", vec![("size", number(size))]),
            Type::DeclTag { ty, component, .. } => Record::plain(
                "DECL_TAG",
                vec![("type_id", number(ty.0)), ("component_idx", component.map_or_else(|| number(-1), number))],
            ),
            Type::TypeTag { ty, .. } => refer("TYPE_TAG", ty),
        })
    }

    fn plain(kind: &'static str, fields: Fields) -> Record<'a> {
        Record { kind, fields, parts: None }
    }

    fn composite(kind: &'static str, t: alveary_btf::Composite<'a>) -> Record<'a> {
        let each = t.members().map(|m| {
            let mut fields = vec![("type_id", number(m.ty.0)), ("bits_offset", number(m.bit_offset))];
            fields.extend(m.bits.map(|bits| ("bitfield_size", number(bits))));
            (Some(m.name), fields, None)
        });
        let parts = Parts { list: "members", each: each.collect() };
        let fields = vec![("size", number(t.size)), ("vlen", number(t.members().len() as u32))];
        Record { kind, fields, parts: Some(parts) }
    }

    fn enumeration(kind: &'static str, t: Enum<'a>, value: fn(i128, bool) -> Field) -> Record<'a> {
        let each = t.values().map(|v| (Some(v.name), vec![("val", value(v.value, t.signed()))], None));
        let fields = vec![
            ("encoding", Field::Word(if t.signed() { "SIGNED" } else { "UNSIGNED" })),
            ("size", number(t.size)),
            ("vlen", number(t.values().len() as u32)),
        ];
        Record { kind, fields, parts: Some(Parts { list: "values", each: each.collect() }) }
    }
}

fn encoding(signed: bool, char: bool, bool: bool) -> &'static str {
    match (signed, char, bool) {
        (true, ..) => "SIGNED",
        (_, true, _) => "CHAR",
        (_, _, true) => "BOOL",
        _ => "(none)",
    }
}
