//! Names that objects share: which definition stands for each, and whether all mean the same by it.

use super::{
    agree,
    input::{Object, in_c},
};
use crate::elf::{Home, Symbol};
use alveary_btf::TypeId;
use alveary_diag::{Diagnostic, Place};
use std::collections::HashMap;

/// Sections whose contents are the same for a whole object: one of them is enough.
pub(super) const ONCE: [&str; 2] = ["license", "version"];
/// Sections of what only a kernel defines.
const KERNEL: [(&str, &str); 2] = [(".kconfig", "__kconfig"), (".ksyms", "__ksym")];

/// A name that objects share.
pub(super) struct Global<'a> {
    pub(super) name: &'a str,
    /// The object and the number of the symbol that stands for all; an extern if nobody defines it.
    pub(super) stands: (usize, usize),
    pub(super) weak: bool,
    pub(super) hidden: bool,
    /// All that have it, the one that stands among them.
    users: Vec<(usize, usize)>,
}

pub(super) struct Globals<'a> {
    pub(super) all: Vec<Global<'a>>,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Globals<'a> {
    pub(super) fn resolve(objects: &[Object<'a>]) -> Result<Globals<'a>, Vec<Diagnostic>> {
        let mut globals = Globals { all: Vec::new(), by_name: HashMap::new() };
        let mut problems = Vec::new();
        let mut once: HashMap<&str, usize> = HashMap::new();
        for (at, object) in objects.iter().enumerate() {
            for (number, symbol) in object.shared() {
                let home = match symbol.at {
                    Home::Section(i) => object.elf.sections[i].name,
                    _ => "",
                };
                // What only repeats what an earlier object has takes no part, nor do its names.
                if ONCE.contains(&home) && *once.entry(home).or_insert(at) != at {
                    continue;
                }
                globals.add(objects, (at, number), symbol, &mut problems);
            }
        }
        problems.extend(globals.all.iter().filter_map(|global| global.disagreement(objects)));
        if problems.is_empty() { Ok(globals) } else { Err(problems) }
    }

    /// The number of a name among all.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The object that has a name's type, and its `VAR` or `FUNC` there.
    pub(super) fn declaration(&self, objects: &[Object<'_>], name: &str) -> Option<(usize, TypeId)> {
        let (object, symbol) = self.all.get(self.number(name)?)?.stands;
        Some((object, objects[object].declaration(symbol)?))
    }

    fn add(
        &mut self,
        objects: &[Object<'a>],
        user: (usize, usize),
        symbol: &Symbol<'a>,
        problems: &mut Vec<Diagnostic>,
    ) {
        let Some(&number) = self.by_name.get(symbol.name) else {
            self.by_name.insert(symbol.name, self.all.len());
            let (weak, hidden) = (symbol.weak, symbol.hidden);
            return self.all.push(Global { name: symbol.name, stands: user, weak, hidden, users: vec![user] });
        };
        let global = &mut self.all[number];
        let stands = objects[global.stands.0].elf.symbols[global.stands.1];
        match (is_defined(&stands), is_defined(symbol)) {
            (true, true) if !stands.weak && !symbol.weak => return problems.push(twice(objects, global.stands, user)),
            (true, true) if stands.weak && !symbol.weak => global.stands = user,
            (false, true) => global.stands = user,
            _ => {}
        }
        global.users.push(user);
        // Whoever cannot do without a name makes it strong; whoever hides it hides it from all.
        global.weak &= symbol.weak;
        global.hidden |= symbol.hidden;
    }
}

impl Global<'_> {
    /// What is wrong if one of the objects means something else by the name than the one that defines it.
    fn disagreement(&self, objects: &[Object<'_>]) -> Option<Diagnostic> {
        self.users.iter().filter(|user| **user != self.stands).find_map(|user| self.compare(objects, *user))
    }

    fn compare(&self, objects: &[Object<'_>], user: (usize, usize)) -> Option<Diagnostic> {
        let (stands, other) = (&objects[self.stands.0], &objects[user.0]);
        let sides = [(stands, self.stands.1), (other, user.1)].map(|(o, s)| (o, &o.elf.symbols[s], o.declaration(s)));
        let [(_, _, Some(ours)), (_, _, Some(theirs))] = sides else {
            let (without, _, _) = sides.into_iter().find(|(_, _, id)| id.is_none())?;
            let message = format!("`{}` is shared by objects, and has no type in one of them", self.name);
            return Some(
                Diagnostic::new("link-untyped", message, Place::Nowhere)
                    .in_file(without.name)
                    .note(definition(stands, self.stands.1))
                    .note(definition(other, user.1))
                    .help("compile every source with `-g`: types are how the linker knows that both mean the same"),
            );
        };
        if let Some(problem) = self.kernels(sides, (ours, theirs)) {
            return Some(problem);
        }
        let (ours_btf, theirs_btf) = (stands.btf.as_ref()?, other.btf.as_ref()?);
        let maps = [(stands, ours), (other, theirs)].iter().any(|(o, id)| o.section_of(*id) == Some(".maps"));
        let compared = if maps {
            agree::maps(self.name, (ours_btf, ours), (theirs_btf, theirs))
        } else {
            agree::symbols((ours_btf, ours), (theirs_btf, theirs))
        };
        let why = compared.err()?;
        let (code, what) = if maps { ("link-map", "map") } else { ("link-type", super::input::what(ours_btf, ours)) };
        let problem = Diagnostic::new(
            code,
            format!("two objects differ in {what} `{}`: {}", self.name, why.what),
            Place::Nowhere,
        )
        .in_file(other.name)
        .expected(why.expected)
        .found(why.found)
        .note(definition(stands, self.stands.1))
        .note(definition(other, user.1));
        Some(problem.help(if maps {
            "define a map once, in a header that both sources include"
        } else {
            "declare it once, in a header that both sources include"
        }))
    }

    /// What is wrong if one object takes a name for the kernel's and another one not.
    fn kernels(
        &self,
        sides: [(&Object<'_>, &Symbol<'_>, Option<TypeId>); 2],
        ids: (TypeId, TypeId),
    ) -> Option<Diagnostic> {
        let [(stands, symbol, _), (other, _, _)] = sides;
        let of = |object: &Object<'_>, id| {
            KERNEL.iter().find(|(section, _)| object.section_of(id) == Some(section)).map(|(_, name)| *name)
        };
        let (ours, theirs) = (of(stands, ids.0), of(other, ids.1));
        if ours == theirs {
            return None;
        }
        let said = |attribute: Option<&str>, defined| match attribute {
            Some(attribute) => format!("`{}` declared `{attribute}`, the kernel's", self.name),
            None if defined => format!("`{}` defined", self.name),
            None => format!("`{}` declared as another object's", self.name),
        };
        let defined = is_defined(symbol);
        Some(
            Diagnostic::new(
                "link-kernel",
                format!("`{}` is the kernel's in one object, and not in another", self.name),
                Place::Nowhere,
            )
            .in_file(other.name)
            .expected(format!("{}, as in {}", said(ours, defined), stands.place(symbol)))
            .found(said(theirs, false))
            .help("leave `__ksym` and `__kconfig` to what the kernel defines, and say it wherever you declare it"),
        )
    }
}

fn is_defined(symbol: &Symbol<'_>) -> bool {
    symbol.at != Home::Undefined
}

/// How an object declares or defines what a symbol names.
fn definition(object: &Object<'_>, number: usize) -> String {
    let symbol = &object.elf.symbols[number];
    let does = if is_defined(symbol) { "defined" } else { "declared" };
    let weak = if symbol.weak { " weak" } else { "" };
    let place = object.place(symbol);
    match object.btf.as_ref().zip(object.declaration(number)) {
        Some((btf, id)) => {
            let line = object.source_line(symbol).map(|line| format!(" ({line})")).unwrap_or_default();
            format!("{does}{weak} in {place}{line}: `{}`", in_c(btf, id))
        }
        None => format!("{does}{weak} in {place}, without a type"),
    }
}

fn twice(objects: &[Object<'_>], first: (usize, usize), again: (usize, usize)) -> Diagnostic {
    let (object, symbol) = (&objects[again.0], &objects[again.0].elf.symbols[again.1]);
    let place = match symbol.at {
        Home::Section(i) => object.elf.sections[i].place(symbol.value),
        _ => Place::Nowhere,
    };
    let problem =
        Diagnostic::new("link-twice", format!("`{}` is defined twice", symbol.name), place).in_file(object.name);
    if objects[first.0].name == object.name {
        return problem.help(format!("{} is given twice: name it once", object.name));
    }
    problem
        .note(definition(&objects[first.0], first.1))
        .note(definition(object, again.1))
        .help("make one of them `extern`; or `static`, if each is to have its own; or `__weak`, if the other is to win")
}
