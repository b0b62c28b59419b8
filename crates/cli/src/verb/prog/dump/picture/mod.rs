//! The control flow as a picture (SVG): the instructions of each block in a box, functions below each other.

mod layout;

use super::{
    Detail,
    code::Code,
    dot::shortened,
    graph::{Block, Function, Graph, Next},
    source::Source,
};
use crate::bpftool::bytes;
use layout::{Layout, Point, Size, lay_out};
use std::io::{self, Write};

/// Of the text: how wide a character is, how high a line.
const CHARACTER: f64 = 7.25;
const LINE: f64 = 16.0;
/// Inside boxes, around functions, for a function's name.
const PADDING: f64 = 10.0;
const MARGIN: f64 = 24.0;
const TITLE: f64 = 34.0;
/// Longer lines are cut: a box has to stay one that fits a screen.
const LONGEST: usize = 84;
/// For what the colours mean.
const LEGEND: f64 = 26.0;
/// The picture is at least so wide: its legend is.
const NARROWEST: f64 = 560.0;

const STYLE: &str = "
  svg { background: #ffffff; font: 12px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; }
  text { fill: #1e293b; }
  .panel { fill: #f8fafc; stroke: #cbd5e1; }
  .title { font-weight: bold; font-size: 13px; }
  .block { fill: #ffffff; stroke: #94a3b8; }
  .entry { stroke: #2563eb; stroke-width: 2; }
  .end { fill: #fff7ed; stroke: #ea580c; }
  .source { fill: #15803d; font-style: italic; }
  .bytes { fill: #94a3b8; }
  .edge { fill: none; stroke-width: 1.6; }
  .on { stroke: #64748b; } .jump { stroke: #2563eb; } .back { stroke: #c026d3; stroke-dasharray: 6 3; }
  .head-on { fill: #64748b; } .head-jump { fill: #2563eb; } .head-back { fill: #c026d3; }
";

/// A line of a box.
struct Text {
    class: &'static str,
    text: String,
}

/// How control goes from one block to the next.
#[derive(Clone, Copy)]
enum Way {
    On,
    Jump,
    Back,
}

const WAYS: [(Way, &str, &str); 3] =
    [(Way::On, "on", "goes on"), (Way::Jump, "jump", "jumps"), (Way::Back, "back", "loops back")];

impl Way {
    fn class(self) -> &'static str {
        WAYS[self as usize].1
    }
}

/// A function with its picture.
struct Drawn {
    title: String,
    blocks: Vec<Vec<Text>>,
    /// Blocks that return.
    ends: Vec<bool>,
    sizes: Vec<Size>,
    ways: Vec<Way>,
    layout: Layout,
}

pub(super) fn svg(code: &Code, source: &Source, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let functions: Vec<Drawn> =
        Graph::of(code).functions.iter().map(|function| Drawn::of(function, code, source, detail)).collect();
    let widest = functions.iter().map(Drawn::width).fold(NARROWEST, f64::max);
    let height: f64 = functions.iter().map(|one| one.height() + MARGIN).sum();
    let (width, height) = (widest + 2.0 * MARGIN, height + MARGIN + LEGEND);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">"
    )?;
    writeln!(out, "<style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>")?;
    legend(out)?;
    let mut top = MARGIN + LEGEND;
    for function in &functions {
        writeln!(out, "<g transform=\"translate({MARGIN} {top:.1})\">")?;
        function.write(widest, out)?;
        writeln!(out, "</g>")?;
        top += function.height() + MARGIN;
    }
    writeln!(out, "</svg>")
}

fn legend(out: &mut dyn Write) -> io::Result<()> {
    let mut left = MARGIN;
    for (_, class, means) in WAYS {
        let y = MARGIN;
        let right = left + 34.0;
        writeln!(out, "<path class=\"edge {class}\" d=\"M{left} {y} H{right}\"/>")?;
        writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{means}</text>", right + 8.0, y + 4.0)?;
        left = right + 8.0 + CHARACTER * means.len() as f64 + 28.0;
    }
    for (class, means) in [("block entry", "begins here"), ("block end", "returns")] {
        let y = MARGIN - 7.0;
        writeln!(out, "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y}\" width=\"22\" height=\"14\" rx=\"3\"/>")?;
        writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{means}</text>", left + 30.0, MARGIN + 4.0)?;
        left += 30.0 + CHARACTER * means.len() as f64 + 28.0;
    }
    Ok(())
}

impl Drawn {
    fn of(function: &Function, code: &Code, source: &Source, detail: Detail) -> Drawn {
        let blocks: Vec<Vec<Text>> = function.blocks.iter().map(|block| lines(block, code, source, detail)).collect();
        let sizes: Vec<Size> = blocks.iter().map(|lines| size(lines)).collect();
        let (mut edges, mut ways) = (Vec::new(), Vec::new());
        for (from, block) in function.blocks.iter().enumerate() {
            for (index, next) in block.next.iter().enumerate() {
                if let Next::Block(to) = *next {
                    edges.push((from, to));
                    let goes_on = index == 0 && function.blocks[to].slots.start == block.slots.end;
                    ways.push(if goes_on { Way::On } else { Way::Jump });
                }
            }
        }
        let layout = lay_out(&sizes, &edges);
        for (way, line) in ways.iter_mut().zip(&layout.lines) {
            if line.back {
                *way = Way::Back;
            }
        }
        let first = function.blocks.first().map_or(0, |block| block.slots.start);
        let title = source.function_at(first).unwrap_or_else(|| format!("function {}", function.number));
        let ends = function.blocks.iter().map(|block| block.next.contains(&Next::Exit)).collect();
        Drawn { title, blocks, ends, sizes, ways, layout }
    }

    fn width(&self) -> f64 {
        (self.layout.size.0).max(CHARACTER * 1.1 * self.title.chars().count() as f64) + 2.0 * MARGIN
    }

    fn height(&self) -> f64 {
        self.layout.size.1 + TITLE + MARGIN
    }

    fn write(&self, width: f64, out: &mut dyn Write) -> io::Result<()> {
        let height = self.height();
        writeln!(out, "<rect class=\"panel\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"8\"/>")?;
        writeln!(out, "<text class=\"title\" x=\"{MARGIN}\" y=\"22\">{}</text>", escaped(&self.title))?;
        let left = (width - self.layout.size.0) / 2.0;
        writeln!(out, "<g transform=\"translate({left:.1} {TITLE})\">")?;
        for (way, line) in self.ways.iter().zip(&self.layout.lines) {
            let class = way.class();
            writeln!(out, "<path class=\"edge {class}\" d=\"{}\"/>", path(&line.points))?;
            if let Some((x, y)) = line.points.last() {
                writeln!(out, "<path class=\"head-{class}\" d=\"M{x:.1} {y:.1} l-4 -8 h8 z\"/>")?;
            }
        }
        for (index, lines) in self.blocks.iter().enumerate() {
            let ((x, y), (width, height)) = (self.layout.boxes[index], self.sizes[index]);
            let class = match (index, self.ends[index]) {
                (0, true) => "block end entry",
                (0, false) => "block entry",
                (_, true) => "block end",
                _ => "block",
            };
            writeln!(
                out,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"5\"/>"
            )?;
            let mut baseline = y + PADDING + LINE - 5.0;
            for Text { class, text } in lines {
                let text = escaped(text);
                writeln!(out, "<text class=\"{class}\" x=\"{:.1}\" y=\"{baseline:.1}\">{text}</text>", x + PADDING)?;
                baseline += LINE;
            }
        }
        writeln!(out, "</g>")
    }
}

/// The lines of a block: source lines before their instructions.
fn lines(block: &Block, code: &Code, source: &Source, detail: Detail) -> Vec<Text> {
    let mut lines = Vec::new();
    let mut add = |class, text: String| {
        let cut = text.char_indices().nth(LONGEST).map(|(at, _)| format!("{}…", &text[..at]));
        lines.push(Text { class, text: cut.unwrap_or(text) });
    };
    let mut last = None;
    for slot in code.slots(block.slots.start, block.slots.end) {
        let line = source.line_of(slot).filter(|line| last.replace(line.index) != Some(line.index));
        if let Some(line) = line.filter(|line| !line.text.is_empty()) {
            add("source", line.text.to_owned());
            if detail.numbers {
                add("bytes", format!("{}:{}:{}", shortened(line.file), line.line, line.column));
            }
        }
        add("insn", format!("{slot:>4}  {}", code.text(slot)));
        if detail.opcodes {
            let slots: Vec<_> = code.bytes(slot).chunks(8).map(bytes::hex).collect();
            add("bytes", format!("      {}", slots.join(" ")));
        }
    }
    lines
}

fn size(lines: &[Text]) -> Size {
    let widest = lines.iter().map(|line| line.text.chars().count()).max().unwrap_or(0);
    (CHARACTER * widest as f64 + 2.0 * PADDING, LINE * lines.len() as f64 + 2.0 * PADDING)
}

/// A line through points, straight down or up at each.
fn path(points: &[Point]) -> String {
    let mut path = String::new();
    let mut last: Option<Point> = None;
    for (index, &(x, y)) in points.iter().enumerate() {
        let part = match last {
            None => format!("M{x:.1} {y:.1}"),
            // Along a layer.
            Some((before, _)) if (x - before).abs() < 0.05 => format!(" V{y:.1}"),
            Some((before, from)) => {
                // Out of a box it is downwards, into one too, whatever comes between.
                let first = index == 1;
                let bend = ((y - from).abs() / 2.0).max(18.0);
                let up = y < from;
                let (leave, arrive) = match (up, first, index + 1 == points.len()) {
                    (true, false, false) => (from - bend, y + bend),
                    (_, _, true) if up => (from - bend, y - bend),
                    (_, true, _) if up || y == from => (from + bend, y + bend),
                    _ => (from + bend, y - bend),
                };
                format!(" C{before:.1} {leave:.1} {x:.1} {arrive:.1} {x:.1} {y:.1}")
            }
        };
        path.push_str(&part);
        last = Some((x, y));
    }
    path
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_boxes_and_a_loop_leads_back() {
        let insns = alveary_testing::code(
            "r0 = 0\nagain: r0 += 1\nif r0 < 9 goto again\nif r1 > 3 goto end\nr0 &= 1\nend: exit",
            |_, _| unreachable!("there is no symbol"),
        );
        let bytes: Vec<u8> = insns.iter().flat_map(|insn| insn.to_bytes(alveary_isa::Endian::HOST)).collect();
        let mut out = Vec::new();
        svg(&Code::new(&bytes, Vec::new()), &Source::default(), Detail::default(), &mut out).expect("a Vec has room");
        let picture = String::from_utf8(out).expect("it is text");
        // One of each is in the legend.
        for (shape, count) in
            [("block entry\"", 2), ("block end\"", 2), ("edge back\"", 2), ("edge jump\"", 2), ("edge on\"", 5)]
        {
            assert_eq!(picture.matches(&format!("class=\"{shape}")).count(), count, "{shape}: {picture}");
        }
        assert!(picture.contains(">   2  (a5) if r0 &lt; 0x9 goto pc-2</text>"), "{picture}");
        assert_eq!(picture.matches("<g").count(), picture.matches("</g>").count());
    }
}
