//! The machine code that the kernel made of a program, as a listing and as JSON: function by function, with the source
//! lines that it says for addresses.

use super::{Detail, source::Source};
use crate::{
    bpftool::{
        bytes,
        json::{Json, Verbatim},
        symbols::Symbols,
    },
    failure::Failure,
    machine::{Instruction, Reader, reader},
};
use alveary_linux::sys::ProgInfo;
use std::{
    io::{self, Write},
    ops::Range,
};

/// The machine code of a program.
pub(super) struct Jited {
    functions: Vec<Function>,
    /// Addresses where source lines begin.
    lines: Vec<u64>,
    reader: Reader,
}

struct Function {
    name: String,
    prototype: Option<String>,
    address: u64,
    code: Vec<u8>,
    /// Its source lines, among those of the program.
    lines: Range<usize>,
}

impl Jited {
    /// Of a program whose code is `bytes`.
    pub(super) fn new(info: &ProgInfo, bytes: &[u8], source: &Source) -> Result<Jited, Failure> {
        let reader =
            reader().map_err(|why| why.help("`file FILE` writes the bytes, for a disassembler that knows them"))?;
        let symbols = Symbols::read();
        // Without addresses the code is one piece of which nothing is known.
        let lens = match &*info.jited_func_lens {
            [] => vec![bytes.len() as u32],
            lens => lens.to_vec(),
        };
        let mut rest = bytes;
        let functions = lens.iter().enumerate().map(|(number, len)| {
            let (code, behind) = rest.split_at_checked(*len as usize).unwrap_or((rest, &[]));
            rest = behind;
            let address = info.jited_ksyms.get(number).copied();
            let name = match address {
                Some(address) => symbols.at(address).map_or_else(|| format!("{address:#018x}"), str::to_owned),
                None => "unknown".to_owned(),
            };
            let address = address.unwrap_or(0);
            let inside = |line: &u64| (address..address + code.len() as u64).contains(line);
            let first = info.jited_lines.iter().position(inside).unwrap_or(0);
            let count = info.jited_lines[first..].iter().take_while(|line| inside(line)).count();
            let prototype = source.funcs.get(number).and_then(|func| source.prototype(func));
            Function { name, prototype, address, code: code.to_owned(), lines: first..first + count }
        });
        Ok(Jited { functions: functions.collect(), lines: info.jited_lines.clone(), reader })
    }

    pub(super) fn text(&self, source: &Source, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
        for function in &self.functions {
            if let Some(prototype) = &function.prototype {
                writeln!(out, "{prototype}:")?;
            }
            writeln!(out, "{}:", function.name)?;
            let mut lines = source.walk(&self.lines, function.lines.clone());
            for found in (self.reader)(&function.code, function.address) {
                if let Some(line) = lines.next(function.address + found.at as u64) {
                    line.text(detail.numbers, out)?;
                }
                writeln!(out, "{:4x}:\t{}", found.at, found.text())?;
                if detail.opcodes {
                    let bytes: String = function.bytes(&found).iter().map(|byte| format!("{byte:02x} ")).collect();
                    writeln!(out, "\t{bytes}")?;
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }

    pub(super) fn json(&self, source: &Source, detail: Detail, json: &mut Json<'_>) -> io::Result<()> {
        json.array(|json| {
            self.functions.iter().try_for_each(|function| {
                json.object(|json| {
                    if let Some(prototype) = &function.prototype {
                        json.field("proto", prototype)?;
                    }
                    json.field("name", &function.name)?;
                    json.name("insns")?;
                    self.function_json(function, source, detail, json)
                })
            })
        })
    }

    fn function_json(
        &self,
        function: &Function,
        source: &Source,
        detail: Detail,
        json: &mut Json<'_>,
    ) -> io::Result<()> {
        let mut lines = source.walk(&self.lines, function.lines.clone());
        json.array(|json| {
            (self.reader)(&function.code, function.address).iter().try_for_each(|found| {
                json.object(|json| {
                    if let Some(line) = lines.next(function.address + found.at as u64) {
                        line.json(detail.numbers, json)?;
                    }
                    json.field("pc", Verbatim(format_args!("\"{:#x}\"", found.at)))?;
                    json.field("operation", &found.operation)?;
                    json.name("operands")?;
                    json.array(|json| match &*found.operands() {
                        [] => json.value(Verbatim(format_args!("null"))),
                        operands => operands.iter().try_for_each(|operand| json.value(*operand)),
                    })?;
                    if !detail.opcodes {
                        return Ok(());
                    }
                    json.name("opcodes")?;
                    bytes::json(function.bytes(found), json)
                })
            })
        })
    }
}

impl Function {
    fn bytes(&self, found: &Instruction) -> &[u8] {
        self.code.get(found.at..found.at + found.len).unwrap_or_default()
    }
}
