//! The text of lowered instructions, with the names of what they refer to.

use alveary::runtime::Prog;
use alveary_isa::{
    Inst, Reg, decode_lowered,
    disasm::{Names, Notation, Style},
};
use alveary_sort::Gather;
use alveary_vm::{Code, Env, Sym};
use std::collections::BTreeMap;

/// The instructions of a program's code, by their slots.
pub(super) fn texts(prog: &Prog) -> BTreeMap<u32, String> {
    let code = prog.code();
    let helpers = (0..).zip(prog.helpers()).map(|(n, row)| (n, format!("bpf_{}", row.name))).gather();
    let symbols = Symbols { helpers, code, maps: &prog.program().maps };
    let mut texts = BTreeMap::new();
    let mut slot = 0;
    while let Ok(inst) = decode_lowered(&code.insns, slot) {
        texts.insert(slot as u32, symbols.text(slot, inst));
        slot += inst.slots();
    }
    texts
}

/// The slot of the program that a slot of its code stands for.
pub(super) fn origin(prog: &Prog, slot: u32) -> u32 {
    prog.code().origin.get(slot as usize).copied().unwrap_or(slot)
}

/// The names in lowered code.
struct Symbols<'a> {
    helpers: BTreeMap<i32, String>,
    code: &'a Code,
    maps: &'a [String],
}

impl Names for Symbols<'_> {
    fn helper(&self, id: i32) -> Option<&str> {
        self.helpers.get(&id).map(String::as_str)
    }
}

impl Symbols<'_> {
    fn text(&self, slot: usize, inst: Inst) -> String {
        let plain = || Notation { style: Style::Plain, names: self }.text(slot, inst).to_string();
        let map = |n: u16| self.maps.get(usize::from(n)).map_or("?", String::as_str);
        let symbol = self.code.syms.iter().find(|(at, _)| *at as usize == slot).map(|(_, symbol)| symbol);
        match (symbol, inst, written(inst)) {
            (Some(Sym::Map(n)), _, Some(dst)) => format!("{dst} = {} ll", map(*n)),
            (Some(Sym::MapValue(n, off)), _, Some(dst)) => format!("{dst} = {} + {off} ll", map(*n)),
            (Some(Sym::Memory(n, off)), _, Some(dst)) => format!("{dst} = memory of {} + {off} ll", map(*n)),
            (_, Inst::CallHelper { id }, _) => match self.helpers.get(&id) {
                Some(name) => format!("call {name}"),
                None => plain(),
            },
            (_, Inst::Load { dst, src: Reg::ENV, off: Env::CPU, .. }, _) => format!("{dst} = number of the CPU"),
            (_, Inst::Load { dst, src: Reg::ENV, off: Env::NOW, .. }, _) => format!("{dst} = virtual time"),
            _ => plain(),
        }
    }
}

fn written(inst: Inst) -> Option<Reg> {
    match inst {
        Inst::LoadImm64 { dst, .. } | Inst::MapIdx { dst, .. } | Inst::MapValueIdx { dst, .. } => Some(dst),
        _ => None,
    }
}
