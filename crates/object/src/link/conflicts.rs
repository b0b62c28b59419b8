//! What is wrong where objects share a name and do not mean the same: in words, with both sides.

use super::{agree, usage::Usage};
use alveary_btf::Kind;
use alveary_diag::{Diagnostic, Place};

/// Sections of what only a kernel defines, and how sources say so.
const KERNEL: [(&str, &str); 2] = [(".kconfig", "__kconfig"), (".ksyms", "__ksym")];

/// Two definitions, both strong.
pub(super) fn twice(first: Usage<'_, '_>, again: Usage<'_, '_>) -> Diagnostic {
    let message = format!("`{}` is defined twice", again.symbol().name);
    let problem = Diagnostic::new("link-twice", message, again.place()).in_file(again.object.name);
    if first.object.name == again.object.name {
        return problem.help(format!("{} is given twice: name it once", again.object.name));
    }
    problem
        .note(first.described())
        .note(again.described())
        .help("make one of them `extern`; or `static`, if each is to have its own; or `__weak`, if the other is to win")
}

/// What is wrong if `other` means something else by a name than `stands` does, the one that counts.
pub(super) fn between(stands: Usage<'_, '_>, other: Usage<'_, '_>) -> Option<Diagnostic> {
    let name = other.symbol().name;
    let (Some(ours), Some(theirs)) = (stands.declaration(), other.declaration()) else {
        return Some(untyped(stands, other));
    };
    if let Some(problem) = kernels(stands, other) {
        return Some(problem);
    }
    let is_map = [stands, other].iter().any(|usage| usage.section() == Some(".maps"));
    let is_function = ours.0.ty(ours.1).is_some_and(|ty| ty.kind() == Kind::Func);
    let (code, what) = match (is_map, is_function) {
        (true, _) => ("link-map", "map"),
        (_, true) => ("link-type", "function"),
        _ => ("link-type", "variable"),
    };
    let compared = if is_map { agree::maps(name, ours, theirs) } else { agree::symbols(ours, theirs) };
    let why = compared.err()?;
    let message = format!("two objects differ in {what} `{name}`: {}", why.what);
    Some(
        Diagnostic::new(code, message, Place::Nowhere)
            .in_file(other.object.name)
            .expected(why.expected)
            .found(why.found)
            .note(stands.described())
            .note(other.described())
            .help("write it once, in a header that both sources include"),
    )
}

fn untyped(stands: Usage<'_, '_>, other: Usage<'_, '_>) -> Diagnostic {
    let without = if stands.declaration().is_none() { stands } else { other };
    let message = format!("`{}` is shared by objects, and has no type in one of them", other.symbol().name);
    Diagnostic::new("link-untyped", message, Place::Nowhere)
        .in_file(without.object.name)
        .note(stands.described())
        .note(other.described())
        .help("compile every source with `-g`: types are how the linker knows that both mean the same")
}

/// What is wrong if one object takes a name for the kernel's and another one not.
fn kernels(stands: Usage<'_, '_>, other: Usage<'_, '_>) -> Option<Diagnostic> {
    let name = other.symbol().name;
    let attribute = |usage: Usage<'_, '_>| {
        KERNEL.iter().find(|(section, _)| usage.section() == Some(section)).map(|(_, attribute)| *attribute)
    };
    if attribute(stands) == attribute(other) {
        return None;
    }
    let said = |usage| match attribute(usage) {
        Some(attribute) => format!("`{name}` declared `{attribute}`, the kernel's"),
        None if usage.is_defined() => format!("`{name}` defined"),
        None => format!("`{name}` declared as another object's"),
    };
    let message = format!("`{name}` is the kernel's in one object, and not in another");
    Some(
        Diagnostic::new("link-kernel", message, Place::Nowhere)
            .in_file(other.object.name)
            .expected(format!("{}, as in {}", said(stands), stands.home()))
            .found(said(other))
            .help("leave `__ksym` and `__kconfig` to what the kernel defines, and say it wherever you declare it"),
    )
}
