//! Names that objects share: which definition stands for each, and whether all mean the same by it.

use super::{conflicts, input::Object, usage::Usage};
use crate::elf::Home;
use alveary_btf::TypeId;
use alveary_diag::Diagnostic;
use std::collections::HashMap;

/// Sections whose contents are the same for a whole object: one of them is enough.
pub(super) const ONCE: [&str; 2] = ["license", "version"];
/// An object and the number of one of its symbols.
type User = (usize, usize);

/// A name that objects share.
pub(super) struct Global {
    /// The symbol that stands for all; an extern if nobody defines it.
    pub(super) stands: User,
    pub(super) weak: bool,
    pub(super) hidden: bool,
    /// All that have it, the one that stands among them.
    users: Vec<User>,
}

pub(super) struct Globals<'a> {
    pub(super) all: Vec<Global>,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Globals<'a> {
    pub(super) fn resolve(objects: &[Object<'a>]) -> Result<Globals<'a>, Vec<Diagnostic>> {
        let mut globals = Globals { all: Vec::new(), by_name: HashMap::new() };
        let mut problems = Vec::new();
        let has = |object: &Object<'_>, name: &str| {
            object.elf.sections.iter().any(|section| section.name == name && Object::takes_part(section))
        };
        let once = ONCE.map(|name| (name, objects.iter().position(|object| has(object, name))));
        for (at, object) in objects.iter().enumerate() {
            for (number, symbol) in object.shared() {
                let home = match symbol.at {
                    Home::Section(i) => object.elf.sections[i].name,
                    _ => "",
                };
                // What only repeats what an earlier object has takes no part, nor do its names.
                if once.iter().any(|(name, first)| *name == home && *first != Some(at)) {
                    continue;
                }
                problems.extend(globals.add(objects, (at, number)));
            }
        }
        for global in &globals.all {
            let others = global.users.iter().filter(|user| **user != global.stands);
            let stands = usage(objects, global.stands);
            problems
                .extend(others.map(|user| usage(objects, *user)).find_map(|other| conflicts::between(stands, other)));
        }
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

    /// Notes that an object has a name; gives what is wrong if two define it.
    fn add(&mut self, objects: &[Object<'a>], user: User) -> Option<Diagnostic> {
        let other = usage(objects, user);
        let symbol = other.symbol();
        let Some(&number) = self.by_name.get(symbol.name) else {
            self.by_name.insert(symbol.name, self.all.len());
            let (weak, hidden) = (symbol.weak, symbol.hidden);
            self.all.push(Global { stands: user, weak, hidden, users: vec![user] });
            return None;
        };
        let global = &mut self.all[number];
        let stands = usage(objects, global.stands);
        match (stands.is_defined(), other.is_defined()) {
            (true, true) if !stands.symbol().weak && !symbol.weak => return Some(conflicts::twice(stands, other)),
            (true, true) if stands.symbol().weak && !symbol.weak => global.stands = user,
            (false, true) => global.stands = user,
            _ => {}
        }
        global.users.push(user);
        // Whoever cannot do without a name makes it strong; whoever hides it hides it from all.
        global.weak &= symbol.weak;
        global.hidden |= symbol.hidden;
        None
    }
}

fn usage<'o, 'a>(objects: &'o [Object<'a>], (object, number): User) -> Usage<'o, 'a> {
    Usage { object: &objects[object], number }
}
