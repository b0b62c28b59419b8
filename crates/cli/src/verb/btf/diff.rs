//! `alveary btf diff`: what changed between the types of two files.

use crate::{failure::Failure, inspect, output, types};
use alveary_btf::{Asked, Btf, Change, Difference, MemberChange, Spot};
use clap::{Args, ValueHint};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Show what changed between two sets of types
///
/// Structs and unions whose members are new, gone, elsewhere or of another type; enumerations whose names are new, gone
/// or of another value. Types are known by name; numbers are the same however compilers spell them. The exit code is 1 if
/// there are differences.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary btf diff vmlinux-6.1.btf kernel
  alveary btf diff vmlinux-6.1.btf kernel --for filter.bpf.o")]
pub(super) struct Diff {
    /// The types before: an object, a file of raw BTF, or `kernel`
    #[arg(value_name = "A", value_hint = ValueHint::FilePath)]
    before: PathBuf,

    /// The types after
    #[arg(value_name = "B", value_hint = ValueHint::FilePath)]
    after: PathBuf,

    /// Only what the CO-RE relocations of this object ask for
    ///
    /// The members that they go through, the enumerators that they name, and as a whole the types whose size or existence
    /// they ask for.
    #[arg(long = "for", value_name = "OBJ", value_hint = ValueHint::FilePath)]
    object: Option<PathBuf>,
}

impl Diff {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let (before, after) = (types::open(&self.before, None)?, types::open(&self.after, None)?);
        let only = self.object.as_deref().map(asked_by).transpose()?;
        let differences = before.diff(&after, only.as_ref());
        if json {
            let types: Vec<Value> = differences.iter().map(object).collect();
            output::object(&json!({ "types": types }))?;
        } else {
            let nothing = only.as_ref().map_or("", |only| nothing_to_compare(only, [&before, &after]));
            output::write(|out| text(&differences, nothing, out))?;
        }
        if differences.is_empty() { Ok(()) } else { Err(Failure::Silent) }
    }
}

/// Why two sets cannot differ in the types of an object, if they cannot: that there are no differences says little then.
fn nothing_to_compare(only: &Asked, sets: [&Btf; 2]) -> &'static str {
    let bare = |name: &str| name.rsplit(' ').next().unwrap_or_default().to_owned();
    match only {
        only if only.is_empty() => ": the object has no CO-RE relocations",
        only if only.keys().any(|name| sets.iter().any(|btf| btf.named(&bare(name)).next().is_some())) => "",
        _ => ": neither has any of the types that the object uses",
    }
}

/// What the relocations of an object ask for.
fn asked_by(path: &Path) -> Result<Asked, Failure> {
    let spec = inspect::open(path)?;
    let mut asked = Asked::new();
    if let Some(btf) = &spec.btf {
        let all = spec.functions.values().flat_map(|f| &f.core);
        all.for_each(|reloc| btf.add_asked(reloc, &mut asked));
    }
    Ok(asked)
}

fn text(differences: &[Difference], nothing: &str, out: &mut dyn Write) -> io::Result<()> {
    if differences.is_empty() {
        return writeln!(out, "no differences{nothing}");
    }
    for Difference { name, change } in differences {
        match change {
            Change::Removed => writeln!(out, "- {name}")?,
            Change::Added => writeln!(out, "+ {name}")?,
            Change::Layout { size: (before, after), members } => {
                match before == after {
                    true => writeln!(out, "~ {name}")?,
                    false => writeln!(out, "~ {name}: {after} bytes, was {before}")?,
                }
                write_members(members, out)?;
            }
            Change::Values(values) => {
                writeln!(out, "~ {name}")?;
                for (name, before, after) in values {
                    match (before, after) {
                        (Some(before), Some(after)) => writeln!(out, "    ~ {name} = {after}, was {before}")?,
                        (Some(before), None) => writeln!(out, "    - {name} = {before}")?,
                        (None, after) => writeln!(out, "    + {name} = {}", after.unwrap_or_default())?,
                    }
                }
            }
        }
    }
    Ok(())
}

/// As many members as are named that have moved together.
const FEW: usize = 4;

/// Members one by one; those that have only moved, and by the same distance as the one before, together.
fn write_members(members: &[MemberChange], out: &mut dyn Write) -> io::Result<()> {
    let mut rest = members;
    while let Some(first) = rest.first() {
        let moved = distance(first);
        let same = moved.map_or(1, |_| rest.iter().take_while(|m| distance(m) == moved).count());
        match (moved, &rest[..same]) {
            (Some(bits), group @ [_, .., last]) => {
                let way = if bits > 0 { "later" } else { "earlier" };
                let by = amount(bits.unsigned_abs());
                let names = match same {
                    ..=FEW => group.iter().map(|member| &*member.name).collect::<Vec<_>>().join(", "),
                    _ => format!("{same} members from {} to {}", first.name, last.name),
                };
                writeln!(out, "    ~ {names}: {by} {way}")?;
            }
            _ => write_member(first, out)?,
        }
        rest = &rest[same..];
    }
    Ok(())
}

fn write_member(member: &MemberChange, out: &mut dyn Write) -> io::Result<()> {
    let name = if member.name.is_empty() { "(no name)" } else { &member.name };
    match (&member.before, &member.after) {
        (Some(before), Some(after)) => {
            write!(out, "    ~ {name}:")?;
            let mut between = " ";
            if before.ty != after.ty {
                write!(out, " {}, was {}", after.ty, before.ty)?;
                between = "; ";
            }
            if (before.bit, before.bits) != (after.bit, after.bits) {
                write!(out, "{between}{}, was {}", place(after), place(before))?;
            }
            writeln!(out)
        }
        (Some(before), None) => writeln!(out, "    - {name}: {}, {}", before.ty, place(before)),
        (None, Some(after)) => writeln!(out, "    + {name}: {}, {}", after.ty, place(after)),
        (None, None) => Ok(()),
    }
}

/// How many bits later a member stands that has changed in nothing else.
fn distance(member: &MemberChange) -> Option<i64> {
    let (before, after) = member.before.as_ref().zip(member.after.as_ref())?;
    let same = before.ty == after.ty && before.bits == after.bits;
    same.then(|| i64::from(after.bit) - i64::from(before.bit))
}

fn amount(bits: u64) -> String {
    if bits.is_multiple_of(8) { format!("{} bytes", bits / 8) } else { format!("{bits} bits") }
}

fn place(spot: &Spot) -> String {
    match spot.bits {
        Some(1) => format!("bit {}", spot.bit),
        Some(bits) => format!("{bits} bits from bit {}", spot.bit),
        None => format!("at byte {}", spot.bit / 8),
    }
}

fn object(difference: &Difference) -> Value {
    let spot = |spot: &Option<Spot>| spot.as_ref().map(|s| json!({ "bit": s.bit, "bits": s.bits, "type": s.ty }));
    let name = &difference.name;
    match &difference.change {
        Change::Removed => json!({ "name": name, "change": "removed" }),
        Change::Added => json!({ "name": name, "change": "added" }),
        Change::Layout { size, members } => {
            let members: Vec<Value> = members
                .iter()
                .map(|m| json!({ "name": m.name, "before": spot(&m.before), "after": spot(&m.after) }))
                .collect();
            json!({ "name": name, "change": "layout", "size_before": size.0, "size_after": size.1, "members": members })
        }
        Change::Values(values) => {
            let number = |n: &Option<i128>| n.map(|n| i64::try_from(n).map_or_else(|_| json!(n as u64), Value::from));
            let values: Vec<Value> = values
                .iter()
                .map(|(name, before, after)| json!({ "name": name, "before": number(before), "after": number(after) }))
                .collect();
            json!({ "name": name, "change": "values", "values": values })
        }
    }
}
