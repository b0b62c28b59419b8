//! Instructions and labels before it is known where they stand: pieces can be taken out, and jumps still land.

use super::types::Signature;
use alveary_isa::{Insn, Inst, encode};

/// A place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

#[derive(Clone, Copy, Debug)]
enum Item {
    Inst(Inst),
    /// An instruction that names a place.
    To(Inst, Label),
    Mark(Label),
}

/// Instructions with labels. Its first function begins at 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Code {
    items: Vec<Item>,
    labels: usize,
    functions: Vec<(Label, Signature)>,
}

impl Code {
    /// A place that is not marked yet.
    pub(super) fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// The place is here: before the next instruction.
    pub(super) fn mark(&mut self, label: Label) {
        self.items.push(Item::Mark(label));
    }

    /// A function begins here.
    pub(super) fn function(&mut self, label: Label, signature: Signature) {
        self.functions.push((label, signature));
        self.mark(label);
    }

    /// An instruction.
    pub(super) fn push(&mut self, inst: Inst) {
        self.items.push(Item::Inst(inst));
    }

    /// An instruction that names a place: a jump, a call, a function's address.
    pub(super) fn push_to(&mut self, inst: Inst, label: Label) {
        self.items.push(Item::To(inst, label));
    }

    /// How many instructions and labels there are.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The same without the instructions of a range; labels stay. `None` if there are none in it.
    pub(super) fn without(&self, range: std::ops::Range<usize>) -> Option<Code> {
        let kept =
            |(at, item): (usize, &Item)| (!range.contains(&at) || matches!(item, Item::Mark(_))).then_some(*item);
        let items: Vec<Item> = self.items.iter().enumerate().filter_map(kept).collect();
        (items.len() < self.items.len()).then(|| Code { items, ..self.clone() })
    }

    /// The slots, and where each function begins. Functions without instructions are left out.
    pub(super) fn lay_out(&self) -> (Vec<Insn>, Vec<(u32, Signature)>) {
        let mut places = vec![0; self.labels];
        let mut at = 0;
        for item in &self.items {
            match item {
                Item::Inst(inst) | Item::To(inst, _) => at += inst.slots() as i32,
                Item::Mark(label) => places[label.0] = at,
            }
        }
        let mut insns = Vec::with_capacity(at as usize);
        for item in &self.items {
            let inst = match item {
                Item::Inst(inst) => *inst,
                Item::To(inst, label) => aimed(*inst, places[label.0] - insns.len() as i32 - 1),
                Item::Mark(_) => continue,
            };
            insns.extend_from_slice(encode(&inst).as_slice());
        }
        let starts = self.functions.iter().map(|(label, signature)| (places[label.0] as u32, *signature));
        let mut starts: Vec<(u32, Signature)> = starts.collect();
        starts.dedup_by_key(|(start, _)| *start);
        starts.retain(|(start, _)| (*start as usize) < insns.len());
        (insns, starts)
    }
}

/// An instruction that names a place, so many slots behind it.
fn aimed(inst: Inst, to: i32) -> Inst {
    match inst {
        Inst::Jmp { wide, op, dst, src, .. } => Inst::Jmp { wide, op, dst, src, off: to as i16 },
        Inst::MayGoto { .. } => Inst::MayGoto { off: to as i16 },
        Inst::Ja { long, .. } => Inst::Ja { off: to, long },
        Inst::CallLocal { .. } => Inst::CallLocal { rel: to },
        Inst::FuncAddr { dst, .. } => Inst::FuncAddr { dst, rel: to },
        other => other,
    }
}
