//! Where instructions come from: source lines and functions' prototypes, by the program's BTF.

use crate::bpftool::{json::Json, prototype::prototype};
use alveary_btf::{Btf, FuncInfo, LineInfo};
use std::{
    io::{self, Write},
    sync::Arc,
};

/// The sources of a program; nothing is known of one without BTF.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) btf: Option<Arc<Btf>>,
    pub(super) funcs: Vec<FuncInfo>,
    pub(super) lines: Vec<LineInfo>,
}

impl Source {
    /// The prototype of the function that begins at a slot: `int filter(struct xdp_md * context)`.
    pub(super) fn function_at(&self, slot: usize) -> Option<String> {
        self.prototype(self.funcs.iter().find(|func| func.insn as usize == slot)?)
    }

    /// The prototype of a function.
    pub(super) fn prototype(&self, func: &FuncInfo) -> Option<String> {
        prototype(self.btf.as_ref()?, func.ty).filter(|text| !text.is_empty())
    }

    /// The last line that begins at or before a slot, for those that look at slots in no order.
    pub(super) fn line_of(&self, slot: usize) -> Option<Line<'_>> {
        let behind = self.lines.partition_point(|line| line.insn as usize <= slot);
        self.line(behind.checked_sub(1)?)
    }

    fn line(&self, index: usize) -> Option<Line<'_>> {
        let btf = self.btf.as_ref()?;
        let info = self.lines.get(index)?;
        let text = btf.string(info.text)?.trim_ascii_start();
        Some(Line {
            index,
            text,
            file: btf.string(info.file).unwrap_or_default(),
            line: info.line,
            column: info.column,
        })
    }

    /// Goes over the lines of `range`, as instructions of rising address ask for them; `at` has the addresses of all.
    pub(super) fn walk<'a>(&'a self, at: &'a [u64], range: std::ops::Range<usize>) -> Walk<'a> {
        Walk { source: self, at, left: range }
    }
}

/// A source line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Its number among the program's lines.
    pub(super) index: usize,
    pub(super) text: &'a str,
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Line<'_> {
    /// As a line before its instructions; `numbers`: with file, line and column.
    pub(super) fn text(&self, numbers: bool, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "; {}", self.text)?;
        if numbers {
            write!(out, " [file:{} line_num:{} line_col:{}]", self.file, self.line, self.column)?;
        }
        writeln!(out)
    }

    /// As members of its instruction.
    pub(super) fn json(&self, numbers: bool, json: &mut Json<'_>) -> io::Result<()> {
        json.field("src", self.text)?;
        if numbers {
            json.field("file", self.file)?;
            if self.line > 0 {
                json.field("line_num", self.line)?;
            }
            if self.column > 0 {
                json.field("line_col", self.column)?;
            }
        }
        Ok(())
    }
}

/// Lines in their order.
pub(super) struct Walk<'a> {
    source: &'a Source,
    at: &'a [u64],
    left: std::ops::Range<usize>,
}

impl<'a> Walk<'a> {
    /// The line to be told before the instruction at this address, if the lines that are left begin there. Like bpftool,
    /// each instruction uses up one line, and tells the last that has begun.
    pub(super) fn next(&mut self, address: u64) -> Option<Line<'a>> {
        let begun = self.at.get(self.left.clone())?.iter().take_while(|at| **at <= address).count();
        let told = self.left.start + begun.checked_sub(1)?;
        self.left.start += 1;
        self.source.line(told)
    }
}
