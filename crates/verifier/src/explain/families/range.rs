//! Accesses to memory of a known size (map values, keys, memory from helpers) at offsets that may lie outside.

use crate::{
    explain::{
        draft::Draft,
        history::Cell,
        number::{self, Number},
        origin, source,
        story::{AccessKind, Story},
        way::line_of,
        words,
    },
    state::{Kind, Reg},
};

pub(super) fn explain(story: &Story<'_>, draft: &mut Draft) {
    let named = story.named_reg().filter(|_| story.helper().is_none()).or_else(|| story.named_reg());
    let Some((n, reg)) = named.and_then(|n| Some((n, *story.reg(n)?))) else { return };
    draft.know(n);
    let access = story.access();
    let verb = match access.map(|access| access.kind) {
        Some(AccessKind::Load) => "reads",
        Some(_) => "writes",
        None => "accesses",
    };
    let size = access.map(|access| access.size).or_else(|| story.number(" size=")).or_else(|| argument_size(story, n));
    let off = access.map_or(0, |access| access.off) + i64::from(reg.off);
    let Some(limit) = limit(story, &reg) else { return };
    let what = place(story, &reg);
    let low = off.saturating_add(reg.val.wide.smin);
    let high = off.saturating_add_unsigned(reg.val.wide.umax.min(i64::MAX as u64));
    let length = size.map_or_else(String::new, |size| format!("{} ", words::bytes(size)));
    let fixed = reg.val.value().is_some();
    let negative = story.message.contains("min value is negative");
    let outside = if negative || low < 0 {
        draft.say(format!("{} may {verb_bare} before the start of {what}", story.subject(), verb_bare = bare(verb)));
        if fixed {
            format!("{verb} {length}at offset {low}")
        } else {
            format!("the offset may be negative: {}", words::range(&shifted(&reg, off)))
        }
    } else if fixed {
        draft.say(format!("{} {verb} behind the end of {what}", story.subject()));
        format!("{verb} {length}at offset {low} of {what}, which has {}", words::bytes(limit))
    } else {
        draft.say(format!("{} may {} behind the end of {what}", story.subject(), bare(verb)));
        let to = if reg.val.wide.umax >= 1 << 29 { "without a bound".to_owned() } else { format!("up to {high}") };
        format!("{verb} {length}at offsets from {} {to}; {what} has {}", low.max(0), words::bytes(limit))
    };
    draft.here(outside);
    let added = number::added(story, &story.history(n));
    for (step, cell) in added.iter().take(2) {
        let Some(number) = Number::of(story, *cell, *step) else { continue };
        draft.label(story.moments[*step].insn, format!("adds {} to the pointer", words::number(&number.reg.val)));
        number.label(story, draft);
    }
    if fixed {
        origin::label(story, draft, n);
        number::label_size(story, draft, n);
        if reg.ty.kind == Kind::MapValue && story.access().is_none() && size.is_some_and(|size| size > limit) {
            draft.help(format!(
                "the value is smaller than the {} that are asked for: make the map's value larger, or the size smaller",
                words::bytes(size.unwrap_or_default())
            ));
        } else if let Some(left) =
            (story.access().is_none() && size.is_some()).then(|| limit - low).filter(|left| *left > 0)
        {
            draft.help(format!("from there to the end are {left} bytes: pass a size of {left} at most"));
        } else {
            draft.help(format!(
                "only offsets below {limit} are inside: see whether the type that is used has the size of {what}"
            ));
        }
        return;
    }
    let rest = limit - off - size.unwrap_or(1);
    let index = index(story, &added, size);
    help(story, draft, rest, &index, negative || reg.val.wide.smin < 0);
}

/// What the source indexes with.
struct Index {
    name: String,
    /// How many bytes each step of it counts.
    scale: i64,
}

/// The index that was added to a pointer, where it is one number. What is added as it is counts bytes: that is an index
/// of an array of bytes only if single bytes are accessed.
fn index(story: &Story<'_>, added: &[(usize, Cell)], size: Option<i64>) -> Index {
    let bytes = Index { name: "offset".to_owned(), scale: 1 };
    let &[(step, cell)] = added else { return bytes };
    let Some(scale) = Number::of(story, cell, step).map(|number| number.scale(story)) else { return bytes };
    if scale == 1 && !(size == Some(1) && story.access().is_some()) {
        return bytes;
    }
    let line = |insn: u32| line_of(story, insn).map(|line| (line.file, line.line));
    let here = story.insn.filter(|insn| line(*insn) == line(story.moments[step].insn));
    let name = here.and_then(|insn| source::index_at(story, insn));
    Index { name: name.unwrap_or_else(|| if scale > 1 { "index" } else { "offset" }.to_owned()), scale }
}

/// What would bound the number: `rest` is the largest one that is inside, once it was scaled.
fn help(story: &Story<'_>, draft: &mut Draft, rest: i64, index: &Index, negative: bool) {
    if rest < 0 {
        draft.help("no value of the number would be inside: the constant part of the offset alone is too large");
        return;
    }
    let out = source::way_out(story);
    if negative {
        draft.help("make the index unsigned (`__u32`, `__u64`), or check that it is not negative, too: comparisons of signed numbers leave the negative ones");
    }
    let Index { name, scale } = index;
    let count = rest / scale + 1;
    let what = if *scale > 1 { "is the index" } else { "is added" };
    draft.help(format!("before the access: `if ({name} >= {count}) {out}`, on the very variable that {what} then"));
    if (count as u64).is_power_of_two() {
        draft.help(format!("or mask it: `{name} & {}`", count - 1));
    }
}

fn bare(verb: &str) -> &str {
    match verb {
        "reads" => "read",
        "writes" => "write",
        _ => "reach",
    }
}

fn shifted(reg: &Reg, off: i64) -> crate::scalar::Scalar {
    reg.val.plus(off, alveary_isa::Wide::W64)
}

/// The size of what a register points to.
pub(super) fn limit(story: &Story<'_>, reg: &Reg) -> Option<i64> {
    let map = || story.program().maps.get(reg.extra as usize);
    match reg.ty.kind {
        Kind::MapValue => Some(map()?.value_size.into()),
        Kind::MapKey => Some(map()?.key_size.into()),
        Kind::Mem => Some(reg.extra.into()),
        _ => None,
    }
}

fn place(story: &Story<'_>, reg: &Reg) -> String {
    match (reg.ty.kind, story.map_name(reg)) {
        (Kind::MapValue, Some(name)) => format!("the value of map `{name}`"),
        (Kind::MapValue, None) => "the map's value".to_owned(),
        (Kind::MapKey, _) => "the map's key".to_owned(),
        _ => "the memory".to_owned(),
    }
}

/// The size that a helper's next argument gives.
fn argument_size(story: &Story<'_>, n: u8) -> Option<i64> {
    story.helper()?;
    let size = story.reg(n + 1)?.val.value()?;
    i64::try_from(size).ok()
}
