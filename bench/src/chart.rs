//! A table as a picture: for each kernel a bar for each engine, as many times as long as clang's.

use crate::table::Table;
use std::fmt::Write;

/// Engines that are drawn, and their colours; interpreters would need another scale.
const BARS: [(&str, &str); 5] =
    [("JIT", "#d97706"), ("gcc -O3", "#64748b"), ("kernel", "#0f766e"), ("rbpf", "#7c3aed"), ("sbpf", "#be123c")];

const LEFT: f64 = 90.0;
const UNIT: f64 = 200.0;
/// Bars end here, with their number beside them.
const MOST: f64 = 3.0;
const BAR: f64 = 9.0;
const GAP: f64 = 8.0;
const TOP: f64 = 46.0;

/// The picture, as SVG.
pub(crate) fn draw(table: &Table) -> String {
    let names: Vec<&str> = table.names().collect();
    let column = |name| names.iter().position(|n| *n == name);
    let bars: Vec<_> = BARS.iter().filter_map(|(name, colour)| Some((*name, *colour, column(*name)?))).collect();
    let group = bars.len() as f64 * BAR + GAP;
    let (width, height) = (LEFT + MOST * UNIT + 60.0, TOP + (table.rows.len() + 1) as f64 * group + 24.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\" fill=\"#334155\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"16\">time of a run, by that of clang -O2's native code (shorter is faster)</text>\n"
    );
    for (n, (name, colour, _)) in bars.iter().enumerate() {
        let x = LEFT + 110.0 * n as f64;
        let _ = writeln!(svg, "<rect x=\"{x}\" y=\"24\" width=\"10\" height=\"10\" fill=\"{colour}\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"33\">{name}</text>", x + 14.0);
    }
    let means = bars.iter().map(|bar| table.mean(bar.2, &[]).map(|mean| mean.0)).collect();
    let rows =
        table.rows.iter().map(|(name, times)| (*name, bars.iter().map(|bar| table.ratio(times, bar.2)).collect()));
    for (n, (name, ratios)) in rows.chain([("mean", means)]).enumerate() {
        let ratios: Vec<Option<f64>> = ratios;
        let top = TOP + n as f64 * group;
        let middle = top + (group - GAP) / 2.0 + 4.0;
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>", LEFT - 8.0);
        for (n, (ratio, (_, colour, _))) in ratios.iter().zip(&bars).enumerate() {
            let Some(ratio) = ratio else { continue };
            let (y, length) = (top + n as f64 * BAR, ratio.clamp(0.0, MOST) * UNIT);
            let bar = BAR - 1.0;
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{bar}\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" font-size=\"8\">{ratio:.2}</text>",
                LEFT + length + 3.0,
                y + BAR - 2.0
            );
        }
    }
    let one = LEFT + UNIT;
    let _ = writeln!(
        svg,
        "<line x1=\"{one}\" y1=\"40\" x2=\"{one}\" y2=\"{}\" stroke=\"#94a3b8\" stroke-dasharray=\"3 3\"/>\n</svg>",
        height - 16.0
    );
    svg
}
