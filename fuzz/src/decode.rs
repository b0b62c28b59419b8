//! Instructions from any bytes, in either byte order.

use alveary_isa::{
    Endian, Insn, Inst,
    asm::assemble,
    cfg::{Cfg, End},
    decode as decode_at, decode_lowered,
    disasm::{Notation, Style},
    encode,
};

/// Slots are written as they were read; what decodes is encoded to the same slots; what is printed in the plain style
/// is assembled to the same slots; every style prints a line; a control-flow graph is whole.
pub fn decode(bytes: &[u8]) {
    let (slots, _) = bytes.as_chunks::<8>();
    for endian in [Endian::Little, Endian::Big] {
        let insns: Vec<Insn> = slots.iter().map(|slot| Insn::from_bytes(*slot, endian)).collect();
        for (insn, slot) in insns.iter().zip(slots) {
            assert_eq!(insn.to_bytes(endian), *slot);
        }
        instructions(&insns);
        if let Ok(graph) = Cfg::new(&insns) {
            whole(&graph, insns.len() as u32);
        }
    }
}

/// Each slot is taken for an instruction, also the second of a constant.
fn instructions(insns: &[Insn]) {
    let mut text = String::new();
    let mut expected = Vec::new();
    for at in 0..insns.len() {
        let lowered = decode_lowered(insns, at);
        match decode_at(insns, at) {
            Ok(inst) => {
                assert_eq!(lowered.as_ref(), Ok(&inst), "the lowered language is larger");
                let slots = &insns[at..at + inst.slots()];
                assert_eq!(encode(&inst).as_slice(), slots, "{inst:?}");
                for style in [Style::Plain, Style::Llvm, Style::Kernel] {
                    let line = Notation { style, names: &() }.text(at, inst).to_string();
                    assert!(!line.is_empty() && !line.contains('\n'), "{inst:?}: {line:?}");
                }
                text.push_str(&format!("{inst}\n"));
                expected.extend_from_slice(slots);
            }
            Err(error) => {
                assert!(error.slot >= at && error.slot < insns.len().max(at + 1), "{error:?} at {at}");
                assert!(!error.to_string().is_empty());
                if let Ok(inst) = lowered {
                    assert!(names_hidden(&inst), "{inst:?} is refused although it names no hidden register");
                }
            }
        }
    }
    let (assembly, errors) = assemble(&text, &|_| None);
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    assert_eq!(assembly.into_raw().as_deref(), Ok(expected.as_slice()), "{text}");
}

fn names_hidden(inst: &Inst) -> bool {
    encode(inst).iter().any(|insn| insn.dst.is_hidden() || insn.src.is_hidden()) || matches!(inst, Inst::CallX { .. })
}

/// Blocks and subprograms cover the slots without gaps; edges and loops lead to what is there.
fn whole(graph: &Cfg, slots: u32) {
    let mut end = 0;
    for (index, block) in (0..).zip(&graph.blocks) {
        assert_eq!(block.slots.start, end);
        assert!(block.slots.contains(&block.last));
        end = block.slots.end;
        assert_eq!(graph.block_at(block.last), Some(index));
        assert!(graph.subprogs[block.subprog as usize].blocks.contains(&index));
        let ways = graph.outgoing(index);
        let least = usize::from(!matches!(block.end, End::Exit | End::Indirect));
        assert!((least..=2).contains(&ways.len()), "{block:?}");
        for edge in ways {
            assert_eq!(edge.from, index);
            assert!(graph.incoming(edge.to).any(|incoming| incoming == edge));
            assert_eq!(graph.blocks[edge.to as usize].subprog, block.subprog);
        }
        if let Some(inner) = block.in_loop {
            assert!(graph.is_in_loop(index, inner));
        }
    }
    assert_eq!(end, slots);
    assert_eq!(graph.subprogs.iter().map(|subprog| subprog.slots.len()).sum::<usize>(), slots as usize);
    for (index, around) in (0..).zip(&graph.loops) {
        assert!(graph.is_in_loop(around.head, index));
        assert_eq!(around.depth, around.parent.map_or(0, |parent| graph.loops[parent as usize].depth) + 1);
    }
}
