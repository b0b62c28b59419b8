//! The instructions that the verifier left, as a listing and as JSON.

use super::{Detail, code::Code, source::Source};
use crate::bpftool::{
    bytes,
    json::{Json, Verbatim},
};
use std::io::{self, Write};

pub(super) fn text(code: &Code, source: &Source, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let starts = starts(source);
    let mut lines = source.walk(&starts, 0..starts.len());
    for slot in code.slots(0, code.insns().len()) {
        if let Some(prototype) = source.function_at(slot) {
            writeln!(out, "{prototype}:")?;
        }
        if let Some(line) = lines.next(slot as u64) {
            line.text(detail.numbers, out)?;
        }
        writeln!(out, "{slot:4}: {}", code.text(slot))?;
        if detail.opcodes {
            let slots: Vec<_> = code.bytes(slot).chunks(8).map(bytes::hex).collect();
            writeln!(out, "       {}", slots.join(" "))?;
        }
    }
    Ok(())
}

pub(super) fn json(code: &Code, source: &Source, detail: Detail, json: &mut Json<'_>) -> io::Result<()> {
    let starts = starts(source);
    let mut lines = source.walk(&starts, 0..starts.len());
    json.array(|json| {
        code.slots(0, code.insns().len()).try_for_each(|slot| {
            json.object(|json| {
                if let Some(prototype) = source.function_at(slot) {
                    json.field("proto", &prototype)?;
                }
                if let Some(line) = lines.next(slot as u64) {
                    line.json(detail.numbers, json)?;
                }
                json.field("disasm", &code.text(slot))?;
                if detail.opcodes { opcodes(code, slot, json) } else { Ok(()) }
            })
        })
    })
}

/// The fields of an instruction.
fn opcodes(code: &Code, slot: usize, json: &mut Json<'_>) -> io::Result<()> {
    let (insn, raw) = (code.insns()[slot], code.bytes(slot));
    json.name("opcodes")?;
    json.object(|json| {
        json.field("code", Verbatim(format_args!("\"0x{:02x}\"", insn.op)))?;
        json.field("src_reg", Verbatim(format_args!("\"0x{:x}\"", insn.src.0)))?;
        json.field("dst_reg", Verbatim(format_args!("\"0x{:x}\"", insn.dst.0)))?;
        json.name("off")?;
        bytes::json(&raw[2..4], json)?;
        json.name("imm")?;
        bytes::json(&raw[4..], json)
    })
}

/// The slots where source lines begin.
fn starts(source: &Source) -> Vec<u64> {
    source.lines.iter().map(|line| line.insn.into()).collect()
}
