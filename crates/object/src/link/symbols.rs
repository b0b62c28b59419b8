//! The symbol table of the result: its sections, what is an object's own, then what all share.

use super::{globals::Globals, input::Object, sections::Layout};
use crate::{
    elf::{self, Symbol, SymbolKind},
    emit::{STT_FUNC, STT_NOTYPE, STT_OBJECT, STT_SECTION},
};

/// A symbol of the result.
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    /// Its place in [`Layout::sections`]; `None` for an extern.
    pub(super) section: Option<usize>,
    pub(super) value: u64,
    pub(super) size: u64,
    pub(super) kind: u8,
    pub(super) bind: u8,
    pub(super) hidden: bool,
}

const STB_LOCAL: u8 = 0;
const STB_GLOBAL: u8 = 1;
const STB_WEAK: u8 = 2;

pub(super) struct Symbols<'a> {
    /// Without the null symbol.
    pub(super) rows: Vec<Row<'a>>,
    /// How many of them no other object sees.
    pub(super) own: usize,
    /// The row of each object's symbol, by object.
    numbers: Vec<Vec<Option<usize>>>,
}

impl<'a> Symbols<'a> {
    pub(super) fn number(objects: &[Object<'a>], globals: &Globals<'a>, layout: &Layout<'a>) -> Symbols<'a> {
        let mut rows: Vec<Row<'a>> = Vec::new();
        for (i, section) in layout.sections.iter().enumerate() {
            let (value, size, hidden) = (0, 0, false);
            rows.push(Row {
                name: section.name,
                section: Some(i),
                value,
                size,
                kind: STT_SECTION,
                bind: STB_LOCAL,
                hidden,
            });
        }
        let mut numbers = Vec::new();
        for (at, object) in objects.iter().enumerate() {
            let mut own = vec![None; object.elf.symbols.len()];
            for (number, symbol) in object.elf.symbols.iter().enumerate().filter(|(_, s)| s.local) {
                let elf::Home::Section(section) = symbol.at else { continue };
                let Some(home) = layout.home(at, section) else { continue };
                if symbol.kind == SymbolKind::Section {
                    own[number] = Some(home.section);
                } else {
                    own[number] = Some(rows.len());
                    rows.push(row(symbol, Some(home.section), home.at, STB_LOCAL, symbol.hidden));
                }
            }
            numbers.push(own);
        }
        let own = rows.len();
        for global in &globals.all {
            let (at, number) = global.stands;
            let symbol = &objects[at].elf.symbols[number];
            let home = match symbol.at {
                elf::Home::Section(section) => layout.home(at, section),
                _ => None,
            };
            let bind = if global.weak { STB_WEAK } else { STB_GLOBAL };
            rows.push(row(symbol, home.map(|h| h.section), home.map_or(0, |h| h.at), bind, global.hidden));
        }
        for (object, numbers) in objects.iter().zip(&mut numbers) {
            for (number, symbol) in object.shared() {
                numbers[number] = globals.number(symbol.name).map(|global| own + global);
            }
        }
        Symbols { rows, own, numbers }
    }

    /// The row that an object's symbol has become.
    pub(super) fn row(&self, object: usize, symbol: u32) -> Option<usize> {
        *self.numbers.get(object)?.get(symbol as usize)?
    }
}

fn row<'a>(symbol: &Symbol<'a>, section: Option<usize>, moved: u64, bind: u8, hidden: bool) -> Row<'a> {
    let kind = match symbol.kind {
        SymbolKind::Object => STT_OBJECT,
        SymbolKind::Function => STT_FUNC,
        _ => STT_NOTYPE,
    };
    let (value, size) = if section.is_some() { (symbol.value.wrapping_add(moved), symbol.size) } else { (0, 0) };
    Row { name: symbol.name, section, value, size, kind, bind, hidden }
}
