//! The control flow as text for Graphviz, as bpftool writes it (since 7.2: with source lines).

use super::{
    Detail,
    code::Code,
    graph::{Graph, Next},
    source::{Line, Source},
};
use crate::bpftool::bytes;
use std::io::{self, Write};

/// Numbers of the nodes that are no blocks; blocks are counted on from there.
const ENTRY: usize = 0;
const EXIT: usize = 1;
const FIRST_BLOCK: usize = 2;

/// Longer paths are cut at their front.
const LONGEST_PATH: usize = 32;

pub(super) fn graph(code: &Code, source: &Source, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "digraph \"DOT graph for eBPF program\" {{")?;
    for function in Graph::of(code).functions {
        let f = function.number;
        writeln!(
            out,
            "subgraph \"cluster_{f}\" {{\n\tstyle=\"dashed\";\n\tcolor=\"black\";\n\tlabel=\"func_{f} ()\";"
        )?;
        let end = |node, name, out: &mut dyn Write| {
            writeln!(out, "\tfn_{f}_bb_{node} [shape=Mdiamond,style=filled,label=\"{name}\"];\n")
        };
        end(ENTRY, "ENTRY", out)?;
        for (block, node) in function.blocks.iter().zip(FIRST_BLOCK..) {
            writeln!(out, "\tfn_{f}_bb_{node} [shape=record,style=filled,label=\"{{\\")?;
            let mut last = None;
            for slot in code.slots(block.slots.start, block.slots.end) {
                write!(out, "{}", if slot > block.slots.start { "| " } else { "" })?;
                if let Some(prototype) = source.function_at(slot) {
                    writeln!(out, "; {prototype}:\\l\\")?;
                }
                if let Some(line) = source.line_of(slot).filter(|line| last.replace(line.index) != Some(line.index)) {
                    label(line, detail.numbers, out)?;
                }
                writeln!(out, "{slot}: {}\\l\\", escaped(&code.text(slot), "<>|&"))?;
                if detail.opcodes {
                    let slots: Vec<_> = code.bytes(slot).chunks(8).map(bytes::hex).collect();
                    writeln!(out, "\\ \\ \\ \\ {}\\l\\", slots.join(" "))?;
                }
            }
            writeln!(out, "}}\"];\n")?;
        }
        end(EXIT, "EXIT", out)?;
        let edge = |from, to, out: &mut dyn Write| {
            let style = "style=\"solid,bold\", color=black, weight=10, constraint=true";
            writeln!(out, "\tfn_{f}_bb_{from}:s -> fn_{f}_bb_{to}:n [{style}];")
        };
        edge(ENTRY, FIRST_BLOCK, out)?;
        for (block, node) in function.blocks.iter().zip(FIRST_BLOCK..) {
            for next in &block.next {
                let to = match next {
                    Next::Block(index) => FIRST_BLOCK + index,
                    Next::Exit => EXIT,
                };
                edge(node, to, out)?;
            }
        }
        // Not to be seen: has the end stand below the beginning.
        writeln!(out, "\tfn_{f}_bb_{ENTRY}:s -> fn_{f}_bb_{EXIT}:n [style=\"invis\", constraint=true];\n}}")?;
    }
    writeln!(out, "}}")
}

/// A source line in a node.
fn label(line: Line<'_>, numbers: bool, out: &mut dyn Write) -> io::Result<()> {
    const SPECIAL: &str = "\\\"{}<>| ";
    if line.text.is_empty() {
        return Ok(());
    }
    if numbers {
        let file = shortened(line.file);
        let cut = if file.len() < line.file.len() { "..." } else { "" };
        writeln!(out, "; [{cut}{} line:{} col:{}]\\l\\", escaped(file, SPECIAL), line.line, line.column)?;
    }
    writeln!(out, "; {}\\l\\", escaped(line.text, SPECIAL))
}

fn escaped(text: &str, special: &str) -> String {
    text.chars().flat_map(|c| special.contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The end of a path: whole names, as many as there is room for.
pub(super) fn shortened(path: &str) -> &str {
    let Some(cut) = path.len().checked_sub(LONGEST_PATH).filter(|cut| *cut > 0) else { return path };
    let cut = path.ceil_char_boundary(cut);
    match path[cut..].find('/').map(|at| cut + at).or_else(|| path.rfind('/')) {
        // The dots would be as long.
        Some(at) if at >= 3 => &path[at..],
        _ => path,
    }
}
