//! Names out of source lines. Line information holds text, not variables: a name is only taken where the text leaves no
//! doubt.

use super::{Story, way::line_of};
use crate::program::Prepared;
use alveary_abi::ProgType as P;

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

/// The names that the source gives to the packet's start and end.
pub(super) fn packet_names(program: &Prepared<'_>) -> (String, String) {
    let find = |field: &str| {
        let program = program.program;
        let btf = program.btf.as_ref()?;
        program.lines.iter().find_map(|line| name_of(field, btf.string(line.text)?))
    };
    (find("data").unwrap_or_else(|| "data".to_owned()), find("data_end").unwrap_or_else(|| "data_end".to_owned()))
}

/// The variable that a line sets to the context's field. One line may set several:
/// `void *data = …ctx->data, *end = …ctx->data_end;`.
fn name_of(field: &str, line: &str) -> Option<String> {
    line.trim().strip_suffix(';')?.split(',').find_map(|one| {
        let (left, right) = one.split_once('=')?;
        let (_, read) = right.rsplit_once("->")?;
        (read.trim() == field).then_some(())?;
        let name = left.trim_end().rsplit(|c: char| !is_word(c)).next()?;
        is_name(name).then(|| name.to_owned())
    })
}

/// How a program of this type lets go of what it does not understand.
pub(super) fn way_out(program: &Prepared<'_>) -> &'static str {
    match program.program.ty {
        P::XDP => "return XDP_PASS;",
        P::SCHED_CLS | P::SCHED_ACT => "return TC_ACT_OK;",
        P::CGROUP_SKB | P::CGROUP_SOCK | P::CGROUP_SOCK_ADDR | P::CGROUP_DEVICE | P::CGROUP_SYSCTL => "return 1;",
        _ => "return 0;",
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_word)
}
