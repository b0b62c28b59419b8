//! Where instructions come from: source lines and functions' prototypes, by the program's BTF.

use crate::bpftool::json::Json;
use alveary_btf::{Btf, FuncInfo, LineInfo, Linkage, Type, TypeId};
use std::{
    fmt::Write as _,
    io::{self, Write},
    sync::Arc,
};

/// Types inside types, at most: what the kernel accepts is far below.
const DEEPEST: u32 = 64;

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

/// A type as bpftool writes it in front of code: a blank behind each word.
fn prototype(btf: &Btf, ty: TypeId) -> Option<String> {
    let mut text = String::new();
    write_type(btf, ty, DEEPEST, &mut text).then_some(text)
}

/// Whether it could be written.
fn write_type(btf: &Btf, id: TypeId, depth: u32, out: &mut String) -> bool {
    let (Some(depth), Some(ty)) = (depth.checked_sub(1), btf.ty(id)) else { return false };
    let inside = |prefix: &str, ty, out: &mut String| {
        out.push_str(prefix);
        write_type(btf, ty, depth, out)
    };
    let named = |kind: &str, out: &mut String| write!(out, "{kind}{} ", ty.name()).is_ok();
    match ty {
        Type::Void => named("void", out),
        Type::Int(_) | Type::Typedef { .. } | Type::Float { .. } => named("", out),
        Type::Struct(_) | Type::Fwd { union: false, .. } => named("struct ", out),
        Type::Union(_) | Type::Fwd { union: true, .. } => named("union ", out),
        Type::Enum(_) | Type::Enum64(_) => named("enum ", out),
        Type::Array(array) => inside("", array.element, out) && write!(out, "[{}]", array.len).is_ok(),
        Type::Ptr(to) => inside("", to, out) && write!(out, "* ").is_ok(),
        Type::Volatile(inner) => inside("volatile ", inner, out),
        Type::Const(inner) => inside("const ", inner, out),
        Type::Restrict(inner) => inside("restrict ", inner, out),
        Type::TypeTag { ty, .. } => inside("", ty, out),
        Type::Func { proto, .. } => write_function(btf, Some(ty.name()), proto, depth, out),
        Type::FuncProto(_) => write_function(btf, None, id, depth, out),
        Type::Var { ty: inner, linkage, name } => {
            inside(if linkage == Linkage::Static { "static " } else { "" }, inner, out)
                && write!(out, " {name}").is_ok()
        }
        Type::DataSec(section) => write!(out, "section (\"{}\") ", section.name).is_ok(),
        Type::DeclTag { .. } => false,
    }
}

fn write_function(btf: &Btf, name: Option<&str>, proto: TypeId, depth: u32, out: &mut String) -> bool {
    let Some(Type::FuncProto(proto)) = btf.ty(proto) else { return false };
    if !write_type(btf, proto.ret, depth, out) {
        return false;
    }
    out.push_str(name.unwrap_or_default());
    out.push('(');
    for (i, param) in proto.params().enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        if param.ty == TypeId::VOID {
            out.push_str("...");
            continue;
        }
        if !write_type(btf, param.ty, depth, out) {
            return false;
        }
        if param.name.is_empty() && out.ends_with(' ') {
            out.pop();
        }
        out.push_str(param.name);
    }
    out.push(')');
    true
}
