//! Names out of source lines. Line information holds text, not variables: a name is only taken where the text leaves no
//! doubt.

use super::{Story, way::line_of};
use crate::program::Prepared;
use alveary_abi::ProgType as P;
use alveary_btf::Type;

/// Signs at which compilers place what is stored.
const STORES: [&str; 9] = ["= ", "++", "--", "+=", "-=", "|=", "&=", "^=", "*="];

/// The variable that the access at an instruction goes through, by its source line: `ip` in `ip->protocol`, where the
/// compiler's column is at the field, or at the sign that stores to it.
pub(super) fn base_at(story: &Story<'_>, insn: u32) -> Option<String> {
    let line = line_of(story, insn)?;
    let at = (line.column as usize).checked_sub(1)?;
    let (mut before, rest) = (line.text.get(..at)?, line.text.get(at..)?);
    if STORES.iter().any(|sign| rest.starts_with(sign)) {
        before = before.trim_end().trim_end_matches(is_word);
    }
    let before = before.strip_suffix("->")?;
    let name = &before[before.trim_end_matches(is_word).len()..];
    // `a.b->c` and `f()->c` are more than a name.
    let plain = !before[..before.len() - name.len()].trim_end().ends_with(['.', '>', ')', ']']);
    (plain && is_name(name)).then(|| name.to_owned())
}

/// The pointer that the access at an instruction goes through, as [`base_at`], and of `*v` as well.
pub(super) fn pointer_at(story: &Story<'_>, insn: u32) -> Option<String> {
    if let Some(base) = base_at(story, insn) {
        return Some(base);
    }
    let line = line_of(story, insn)?;
    let at = (line.column as usize).checked_sub(1)?;
    let (before, rest) = (line.text.get(..at)?, line.text.get(at..)?);
    if STORES.iter().any(|sign| rest.starts_with(sign)) {
        let before = before.trim_end();
        let name = &before[before.trim_end_matches(is_word).len()..];
        let star = before[..before.len() - name.len()].strip_suffix('*')?;
        // `a * b` is none, nor is `**v`.
        let begins = star.trim_end().is_empty() || star.trim_end().ends_with(['{', ';', '(', '}', ')']);
        return (begins && is_name(name)).then(|| name.to_owned());
    }
    let (name, behind) = name_and_rest(rest.strip_prefix('*')?)?;
    ends_expression(behind).then(|| name.to_owned())
}

/// The end of what the access at an instruction goes to, by its source line, as an address:
/// `(void *)(ip + 1)` of `ip->protocol` and `*ip`, `(void *)(port + 2)` of `port[1]`, `(void *)at + 2` of `*(__u16 *)at`.
pub(super) fn end_at(story: &Story<'_>, insn: u32, size: Option<i64>) -> Option<String> {
    if let Some(base) = base_at(story, insn) {
        return Some(format!("(void *)({base} + 1)"));
    }
    let size = size?;
    let line = line_of(story, insn)?;
    let at = (line.column as usize).checked_sub(1)?;
    let rest = line.text.get(at..)?;
    if let Some(cast) = rest.strip_prefix("*(") {
        let (kind, behind) = cast.split_once("*)")?;
        let (name, behind) = name_and_rest(behind.trim_start())?;
        let plain = kind.chars().all(|c| is_word(c) || c == ' ') && ends_expression(behind);
        return plain.then(|| format!("(void *){name} + {size}"));
    }
    if let Some(behind) = rest.strip_prefix('*') {
        let (name, behind) = name_and_rest(behind)?;
        return ends_expression(behind).then(|| format!("(void *)({name} + 1)"));
    }
    let (name, behind) = name_and_rest(rest)?;
    let (index, behind) = behind.strip_prefix('[')?.split_once(']')?;
    let index: u32 = index.trim().parse().ok()?;
    ends_expression(behind).then(|| format!("(void *)({name} + {})", index + 1))
}

/// A name at the start of a text, and what is behind it.
fn name_and_rest(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    is_name(name).then_some((name, rest))
}

/// Whether what is behind a name is no further part of what is accessed.
fn ends_expression(rest: &str) -> bool {
    !["[", "->", ".", "(", "++", "--"].iter().any(|sign| rest.trim_start().starts_with(sign))
}

/// The index of the array that a source line accesses: `q` in `c->ports[q]`. None if there are several that could be.
pub(super) fn index_at(story: &Story<'_>, insn: u32) -> Option<String> {
    let line = line_of(story, insn)?;
    let mut found = line.text.split('[').skip(1).map(|rest| rest.split(']').next().unwrap_or_default().trim());
    let variable = |text: &&str| !text.chars().all(|c| c.is_ascii_digit());
    let index = found.find(variable)?;
    let plain = index.replace("->", "_").replace('.', "_");
    let only =
        line.text.split('[').skip(1).filter(|rest| variable(&rest.split(']').next().unwrap_or_default())).count() == 1;
    (only && is_name(&plain)).then(|| index.to_owned())
}

/// The names that the source gives to the packet's start and end.
pub(super) struct PacketNames {
    /// The start, as it can be counted from in bytes: with a cast, if its type is another one.
    pub(super) data: String,
    /// The end, if lines set a variable to it.
    pub(super) data_end: Option<String>,
    /// The context.
    pub(super) context: Option<String>,
}

pub(super) fn packet_names(program: &Prepared<'_>) -> PacketNames {
    let find = |field: &str| {
        let program = program.program;
        let btf = program.btf.as_ref()?;
        // Without types there may be no lines: then nothing is known of the names.
        program.lines.iter().find_map(|line| {
            let text = btf.string(line.text)?;
            Some((name_of(field, text)?, text))
        })
    };
    let known = program.program.btf.is_some() && !program.program.lines.is_empty();
    let data =
        find("data").map(|((name, _), text)| if in_bytes(text, &name) { name } else { format!("(void *){name}") });
    let context = find("data").map(|((_, context), _)| context).filter(|context| is_name(context));
    let data_end = find("data_end").map(|((name, _), _)| name).or_else(|| (!known).then(|| "data_end".to_owned()));
    PacketNames { data: data.unwrap_or_else(|| "data".to_owned()), data_end, context }
}

/// Whether a line that sets a variable lets it be counted in bytes: it is declared so there, or elsewhere.
fn in_bytes(line: &str, name: &str) -> bool {
    const BYTES: [&str; 8] = ["void", "char", "__u8", "u8", "uint8_t", "long", "__u64", "u64"];
    let Some((before, _)) = line.split_once(name) else { return true };
    let ty = before.trim().trim_end_matches('*').trim_end();
    ty.is_empty() || ty.ends_with(',') || BYTES.iter().any(|word| ty.ends_with(word))
}

/// The variable that a line sets to the context's field, and the context's name. One line may set several:
/// `void *data = …ctx->data, *end = …ctx->data_end;`.
fn name_of(field: &str, line: &str) -> Option<(String, String)> {
    line.trim().strip_suffix(';')?.split(',').find_map(|one| {
        let (left, right) = one.split_once('=')?;
        let (from, read) = right.rsplit_once("->")?;
        (read.trim() == field).then_some(())?;
        let name = left.trim_end().rsplit(|c: char| !is_word(c)).next()?;
        let context = from.rsplit(|c: char| !is_word(c)).next()?;
        is_name(name).then(|| (name.to_owned(), context.to_owned()))
    })
}

/// How a function of this program lets go of what it does not understand.
pub(super) fn way_out(story: &Story<'_>) -> &'static str {
    let program = story.program();
    let function = story.insn.map_or(0, |insn| program.subprog_of(insn));
    if function != 0 {
        return if returns_nothing(program, function) { "return;" } else { "return 0;" };
    }
    match program.program.ty {
        P::XDP => "return XDP_PASS;",
        P::SCHED_CLS | P::SCHED_ACT => "return TC_ACT_OK;",
        P::CGROUP_SKB | P::CGROUP_SOCK | P::CGROUP_SOCK_ADDR | P::CGROUP_DEVICE | P::CGROUP_SYSCTL => "return 1;",
        _ => "return 0;",
    }
}

/// Whether a function's type says that it returns nothing.
fn returns_nothing(program: &Prepared<'_>, function: u32) -> bool {
    let start = program.subprogs[function as usize].start;
    let proto = || {
        let btf = program.program.btf.as_ref()?;
        let func = program.program.funcs.iter().find(|func| func.insn == start)?;
        let Some(Type::Func { proto, .. }) = btf.ty(func.ty) else { return None };
        let Some(Type::FuncProto(proto)) = btf.ty(proto) else { return None };
        Some(matches!(btf.resolved(proto.ret), Type::Void))
    };
    proto().unwrap_or(false)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_word)
}
